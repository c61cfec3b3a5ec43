"""How the documentation is built: ``make docs``."""

from __future__ import annotations

import atexit
import importlib
import inspect
import os
import shutil
import tempfile
from typing import Any

# Airflow leaves files in its home, even if it is only imported. They are not for the user's.
_home = tempfile.mkdtemp(prefix="airflow-docs-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home

from airflow.sdk import BaseOperator  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402
from sphinx.util.docutils import SphinxDirective  # noqa: E402

from airflow_provider_streamtasks import __version__  # noqa: E402
from airflow_provider_streamtasks.operators.base import StreamBaseOperator  # noqa: E402
from airflow_provider_streamtasks.operators.items import ItemsArgument  # noqa: E402
from airflow_provider_streamtasks.protocol import catalogue  # noqa: E402
from airflow_provider_streamtasks.protocol.operations import Operation  # noqa: E402
from airflow_provider_streamtasks.provider_info import get_provider_info  # noqa: E402

project = "airflow-provider-streamtasks"
author = "The airflow-provider-streamtasks contributors"
project_copyright = author
version = release = __version__

extensions = ["sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"Airflow provider for Stream's tasks {release}"
html_show_sphinx = False
exclude_patterns = ["_build", "generated"]

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90

PACKAGE = "airflow_provider_streamtasks"
FIXED = {"StreamImportSensor": ("stream_task_id", "start_from_trigger", "end_from_trigger")}
"""Arguments that a class gives to its base itself."""


def show_all_arguments(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Name what an operator takes, the arguments that it shares included, instead of ``**kwargs``."""
    if what != "class" or not issubclass(obj, BaseOperator):
        return None
    arguments: dict[str, str] = dict.fromkeys(FIXED.get(obj.__name__, ()), "")
    for each in obj.__mro__:
        if each.__module__.startswith(PACKAGE) and "__init__" in vars(each):
            for argument in inspect.signature(each.__init__).parameters.values():
                if argument.kind is argument.KEYWORD_ONLY:
                    default = "" if argument.default is argument.empty else f" = {argument.default!r}"
                    arguments.setdefault(argument.name, f"{argument.name}: {argument.annotation}{default}")
    text = ", ".join(["*", "task_id: str", *filter(None, arguments.values())])
    return f"({text.replace('ItemsArgument', str(ItemsArgument))})", ""


def say_what_is_shared(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Lead from each operator to the arguments that it shares with all."""
    if what == "class" and issubclass(obj, StreamBaseOperator) and obj is not StreamBaseOperator:
        lines += ["The other arguments are those that :ref:`all operators share <shared-arguments>`.", ""]


class Operations(SphinxDirective):
    """The table of Stream's operations: each row of the catalogue with its operator."""

    def run(self) -> list[Any]:
        """Return the table."""
        operators = {
            operation.name: f":class:`~{module}.{name}`"
            for module in get_provider_info()["operators"][0]["python-modules"]
            for name, operator in vars(importlib.import_module(module)).items()
            if isinstance(operation := getattr(operator, "stream_operation", None), Operation)
        }
        rows = [("Operator", "Stream's operation", "Items in one request")]
        for name, row in catalogue.CATALOGUE.items():
            items = f"{row.items.cap:,} {row.items.name}" if row.items else ""
            rows.append((operators[name], f"``{name}``", items))
        table = ".. list-table::\n   :header-rows: 1\n"
        for first, *others in rows:
            table += f"\n   * - {first}" + "".join(f"\n     - {cell}" for cell in others)
        return self.parse_text_to_nodes(table)


class OperationConstants(SphinxDirective):
    """The constants of the catalogue, with what they say."""

    def run(self) -> list[Any]:
        """Return one entry for each."""
        names = [name for name, value in vars(catalogue).items() if isinstance(value, Operation)]
        entries = [f".. autodata:: {catalogue.__name__}.{name}\n   :no-value:\n" for name in names]
        return self.parse_text_to_nodes("\n".join(entries))


def setup(app: Sphinx) -> None:
    """Connect the above with Sphinx."""
    app.connect("autodoc-process-signature", show_all_arguments)
    app.connect("autodoc-process-docstring", say_what_is_shared)
    app.add_directive("operations", Operations)
    app.add_directive("operation-constants", OperationConstants)
