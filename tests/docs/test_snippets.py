"""Every Python snippet of the README and the documentation runs as it is printed."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_provider_streamtasks.provider_info import get_provider_info
from airflow_provider_streamtasks.sandbox import Sandbox, SandboxControl
from tests.airflow_names import DagSerialization

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.rst"))

_IN_MARKDOWN = re.compile(r"^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_IN_RST = re.compile(
    r"^(?P<indent> *)\.\. code-block:: python\n"
    r"(?:(?P=indent) +:.*\n)*"  # options
    r"(?P<code>(?:(?P=indent) +.*\n|\s*\n)+)",
    re.MULTILINE,
)


def all_snippets() -> Iterator[tuple[Path, str]]:
    """Yield each snippet, with empty lines in front, so that a traceback shows the line of the page."""
    for path in (README, *PAGES):
        text = path.read_text(encoding="utf-8")
        for found in (_IN_MARKDOWN if path.suffix == ".md" else _IN_RST).finditer(text):
            line = text.count("\n", 0, found.start("code"))
            yield path, "\n" * line + textwrap.dedent(found["code"])


def snippets() -> Iterator[object]:
    for page, code in all_snippets():
        line = len(code) - len(code.lstrip("\n")) + 1
        yield pytest.param(page, code, id=f"{page.name}:{line}")


@pytest.mark.parametrize(("page", "code"), list(snippets()))
@pytest.mark.usefixtures("connection")
def test_snippet_runs(
    page: Path, code: str, sandbox: Sandbox, control: SandboxControl, start_task: Callable[..., str]
) -> None:
    # What a page takes for granted: a sandbox on its default port, steered by `control`, with a Stream task.
    code = code.replace("http://127.0.0.1:8765", sandbox.url)
    namespace: dict[str, object] = {"__name__": "snippet", "__doc__": None}
    if "control." in code:
        namespace.update(control=control, stream_task_id=start_task(end="never"))
    compiled = compile(code, str(page), "exec")
    if re.search(r"^ *\.\.\.", code, re.MULTILINE):
        return  # The reader's own code goes there, so it cannot run.

    exec(compiled, namespace)

    dags = {value for value in namespace.values() if isinstance(value, DAG)}
    assert bool(dags) == ("DAG(" in code), (
        "bind the DAG to a name, so that it is checked: with DAG(...) as dag"
    )
    for dag in dags:
        assert dag.tasks
        DagSerialization.to_dict(dag)


def test_every_page_has_been_looked_through() -> None:
    assert {README.name, "index.rst", "sandbox.rst"} <= {page.name for page, _ in all_snippets()}


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_python_is_marked_as_such(page: Path) -> None:
    """What looks like Python and is not marked as Python would never be run."""
    text = page.read_text(encoding="utf-8")
    for pattern in (_IN_MARKDOWN, _IN_RST):
        text = pattern.sub("", text)
    assert not re.search(r"^\s*(from \w[\w.]* import|import \w+$|with DAG\()", text, re.MULTILINE)


def test_configuration_page_lists_every_option_with_its_default() -> None:
    text = (ROOT / "docs" / "configuration.rst").read_text(encoding="utf-8")
    options = get_provider_info()["config"]["streamtasks"]["options"]
    described = dict(re.findall(r"^   \* - ``(\w+)``\n     - ``([^`]+)``$", text, re.MULTILINE))
    assert described == {name: option["default"] for name, option in options.items()}
