"""Where items come from, and what a million of them cost."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, Context, ObjectStoragePath, task

from airflow_provider_streamtasks.operators.chat import (
    StreamDeleteChannelsOperator,
    StreamExportChannelsOperator,
)
from airflow_provider_streamtasks.operators.items import ItemFile, item_source
from airflow_provider_streamtasks.operators.users import StreamDeactivateUsersOperator
from airflow_provider_streamtasks.protocol.catalogue import DELETE_CHANNELS, EXPORT_CHANNELS
from airflow_provider_streamtasks.sandbox import SandboxControl
from tests.airflow_tasks import Run

CIDS = ["messaging:a", "messaging:b", "messaging:c"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(connection: None) -> Run:
    return Run()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ids.txt"
    path.write_text("messaging:a\nmessaging:b\nmessaging:c\n")
    return path


def delete(cids: Any, **others: Any) -> StreamDeleteChannelsOperator:
    return StreamDeleteChannelsOperator(task_id="delete", cids=cids, hard_delete=True, **others)


def sent(control: SandboxControl) -> list[str]:
    return [item for request in control.journal("DeleteChannels") for item in request["items"]]


# -- sources -----------------------------------------------------------------------------------------------


def generated(context: Context) -> Iterator[str]:
    yield from CIDS


@task
def find() -> list[str]:
    return CIDS


class Finder:
    def __call__(self, context: Context) -> set[str]:
        return set(CIDS)


SOURCES: dict[str, Callable[[Path], Any]] = {
    "list": lambda file: CIDS,
    "tuple": lambda file: tuple(CIDS),
    "set": lambda file: set(CIDS),
    "frozenset": lambda file: frozenset(CIDS),
    "lambda": lambda file: lambda context: CIDS,
    "generator function": lambda file: generated,
    "callable object": lambda file: Finder(),
    "callable that returns a tuple": lambda file: lambda context: tuple(CIDS),
    "pathlib.Path": lambda file: file,
    "ObjectStoragePath": lambda file: ObjectStoragePath(f"file://{file}"),
    "location": lambda file: f"file://{file}",
    "templates in a list": lambda file: ["{{ params.type }}:a", "messaging:{{ params.b }}", "messaging:c"],
    "template of a location": lambda file: "file://{{ params.folder }}/ids.txt",
}


@pytest.mark.parametrize("source", SOURCES)
def test_items_come_from_anywhere(source: str, file: Path, run: Run, control: SandboxControl) -> None:
    operator = delete(SOURCES[source](file))
    params = {"type": "messaging", "b": "b", "folder": str(file.parent)}
    operator.render_template_fields(Context(params=params))
    operator.execute(run.context)
    assert sent(control) == CIDS


def test_a_callable_gets_the_context(run: Run, control: SandboxControl) -> None:
    delete(lambda context: [f"messaging:{context['ti'].task_id}"]).execute(run.context)
    assert sent(control) == ["messaging:airflow_task"]


def test_a_callable_is_not_called_before_the_airflow_task_runs() -> None:
    def bad(context: Context) -> Any:
        raise AssertionError

    with DAG("dag", schedule=None):
        operator = delete(bad)
    # Airflow would call a callable to render it, and store what it returns.
    operator.render_template_fields(Context(params={}))
    assert (
        str(operator.cids)
        == "<callable test_a_callable_is_not_called_before_the_airflow_task_runs.<locals>.bad>"
    )


def test_a_file_may_be_written_by_any_editor(run: Run, control: SandboxControl, tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(b"\xef\xbb\xbfmessaging:a\r\n\r\n  messaging:b\t\r\n   \r\nmessaging:a\r\nmessaging:c")
    delete(path).execute(run.context)
    assert sent(control) == CIDS


def test_ids_of_users_may_have_any_letter_in_a_file(
    run: Run, control: SandboxControl, tmp_path: Path
) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("täsk✓\n#joe\n", encoding="utf-8")
    StreamDeactivateUsersOperator(task_id="deactivate", user_ids=path).execute(run.context)
    (request,) = control.journal("DeactivateUsers")
    assert request["items"] == ["täsk✓", "#joe"]


def test_duplicates_are_dropped_over_all_batches(run: Run, control: SandboxControl) -> None:
    cids = [f"messaging:{number % 150}" for number in range(1000)]
    delete(cids).execute(run.context)
    assert [len(request["items"]) for request in control.journal("DeleteChannels")] == [100, 50]
    assert sent(control) == cids[:150]


def test_channels_to_export_may_be_objects_or_lines(run: Run, control: SandboxControl, file: Path) -> None:
    for channels in (file, [{"cid": cid} for cid in CIDS], ["messaging:a", {"type": "messaging", "id": "b"}]):
        StreamExportChannelsOperator(task_id="export", channels=channels).execute(Run().context)
    bodies = [request["body"]["channels"] for request in control.journal("ExportChannels")]
    assert bodies[0] == bodies[1] == [{"cid": cid} for cid in CIDS]
    assert bodies[2] == [{"cid": "messaging:a"}, {"type": "messaging", "id": "b"}]


@pytest.mark.parametrize("change", ["map", "concat"])
def test_the_output_of_mapped_airflow_tasks_is_a_list_too(
    change: str, run: Run, control: SandboxControl
) -> None:
    run.ti.xcoms = {"return_value": CIDS[:2]}
    with DAG("dag", schedule=None):
        ids = BaseOperator(task_id="ids").output
        operator = delete(ids.map(str.lower) if change == "map" else ids.concat(ids.map(str.lower)))
    # Airflow's own sequences: they are no lists, and neither is that of a mapped Airflow task.
    operator.render_template_fields(run.context)
    assert not isinstance(operator.cids, list)
    run.execute(lambda: operator)
    assert sent(control) == CIDS[:2]


@pytest.mark.parametrize("wrong", [[["messaging:a"]], [("messaging:a", "name")], ["messaging:a", None], [1]])
def test_rows_in_such_an_output_are_no_items(wrong: Any, run: Run, control: SandboxControl) -> None:
    run.ti.xcoms = {"return_value": wrong}
    with DAG("dag", schedule=None):
        operator = delete(BaseOperator(task_id="ids").output.map(_same))
    operator.render_template_fields(run.context)
    with pytest.raises(
        ValueError, match=r"^an item of cids is .*: a non-empty string like 'messaging:general'"
    ):
        run.execute(lambda: operator)
    assert control.journal() == []


def _same(value: Any) -> Any:
    return value


class Frame:
    """Behaves as a DataFrame of pandas'."""

    columns = CIDS

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


class Column:
    """Behaves as a column, or a gap, of pandas'."""

    def __bool__(self) -> bool:
        raise TypeError("ambiguous")


# -- what is refused ---------------------------------------------------------------------------------------

A_LIST = "a list, the output of another Airflow task, a callable that takes the context"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (lambda context: [], "cids is empty: at least one item is needed"),
        (lambda context: None, "cids: the callable returned None: an iterable of items is needed"),
        (lambda context: "messaging:a", "cids: the callable returned 'messaging:a': an iterable"),
        (lambda context: b"messaging:a", "cids: the callable returned b'messaging:a': an iterable"),
        (lambda context: {"messaging:a": 1}, "cids: the callable returned a dict: an iterable"),
        (lambda context: 5, "cids: the callable returned 5: an iterable"),
        (Frame(), "cids is a Frame: a list"),
        (lambda context: [Column()], "an item of cids is a Column: a non-empty string"),
        (lambda context: Frame(), "cids: the callable returned a Frame: one of its columns is needed"),
        (lambda context: iter([*CIDS, "general"]), "an item of cids is 'general'"),
    ],
)
def test_what_a_callable_returns_is_checked_before_the_first_request(
    source: Any, words: str, run: Run, control: SandboxControl
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        delete(source).execute(run.context)
    assert control.journal() == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "cids is empty: at least one item is needed"),
        ("\n \n", "cids is empty: at least one item is needed"),
        (
            "messaging:a\n" * 500 + "general\n",
            "line 501: an item of cids is 'general': a non-empty string",
        ),
        ('["messaging:a"]\n', "line 1: it looks like JSON"),
        ("messaging:a,messaging:b\n", "line 1: it holds ','"),
    ],
)
def test_a_bad_line_of_a_file_is_named_before_the_first_request(
    content: str, words: str, run: Run, control: SandboxControl, tmp_path: Path
) -> None:
    path = tmp_path / "ids.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=re.escape(words)):
        delete(path).execute(run.context)
    assert control.journal() == []


def test_a_file_that_is_no_text_is_named(run: Run, control: SandboxControl, tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes("messaging:ä".encode("latin-1"))
    with pytest.raises(ValueError, match=r"cids is '.*ids\.txt', line 1: a file in UTF-8 is needed"):
        delete(path).execute(run.context)
    assert control.journal() == []


def test_a_file_that_is_not_there_is_named(run: Run, control: SandboxControl, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.txt"):
        delete(tmp_path / "missing.txt").execute(run.context)
    assert control.journal() == []


@pytest.mark.parametrize(
    "source",
    [
        "ids.txt",
        "/data/ids.txt",
        "['messaging:a']",
        None,
        5,
        {"messaging:a"}.__iter__(),
        generated(Context()),
    ],
)
def test_what_is_no_source_is_refused_when_the_dag_is_parsed(source: Any) -> None:
    with pytest.raises(ValueError, match=f"^cids is .*: {A_LIST}"):
        delete(source)


def test_an_airflow_task_in_place_of_its_output_is_refused_when_the_dag_is_parsed() -> None:
    # It can be called like any other callable, but only while a DAG is read.
    with (
        DAG("dag", schedule=None),
        pytest.raises(ValueError, match=r"'find' is a function with @task: call it$"),
    ):
        delete(find)
    with (
        DAG("dag", schedule=None),
        pytest.raises(ValueError, match=r"It is an Airflow task: give its \.output$"),
    ):
        delete(BaseOperator(task_id="find"))


def test_a_list_that_became_text_in_a_template_is_refused(run: Run, control: SandboxControl) -> None:
    operator = delete("{{ params.cids }}")
    operator.render_template_fields(Context(params={"cids": CIDS}))
    with pytest.raises(ValueError, match=f"^cids is \"\\['messaging:.*: {A_LIST}"):
        operator.execute(run.context)
    assert control.journal() == []


# -- reading -----------------------------------------------------------------------------------------------


def test_items_can_be_read_again_and_again() -> None:
    assert DELETE_CHANNELS.items
    with ItemFile(DELETE_CHANNELS.items, CIDS, Context()) as items:
        assert len(items) == 3
        assert list(items) == list(items) == CIDS


def test_a_source_is_read_once() -> None:
    calls = []

    def counted(context: Context) -> list[str]:
        calls.append(context)
        return CIDS

    assert DELETE_CHANNELS.items
    with ItemFile(DELETE_CHANNELS.items, item_source(counted), Context()) as items:
        list(items)
        list(items)
    assert len(calls) == 1


def test_objects_survive_the_way_through_the_file() -> None:
    assert EXPORT_CHANNELS.items
    channels = [
        {"cid": "messaging:a", "messages_since": "2026-01-31T00:00:00Z"},
        {"type": "x", "id": "täsk✓"},
    ]
    with ItemFile(EXPORT_CHANNELS.items, channels, Context()) as items:
        assert list(items) == channels


# -- a million ---------------------------------------------------------------------------------------------

MILLION = 1_000_000
MEBIBYTE = 1024 * 1024

# Linux keeps the highest resident size of a process; writing 5 starts that anew.
WORKER = """
import json, os, re, sys
from pathlib import Path
from airflow_provider_streamtasks.operators.users import StreamDeactivateUsersOperator
from tests.airflow_tasks import Run

def resident(name):
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

operator = StreamDeactivateUsersOperator(task_id="deactivate", user_ids=Path(sys.argv[1]))
run = Run()
idle = resident("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
ids = operator.execute(run.context)
print(json.dumps({"idle": idle, "highest": resident("VmHWM"), "ids": len(ids)}))
"""


@contextmanager
def quick_stream() -> Iterator[tuple[str, list[int]]]:
    """A server that accepts every submission, as fast as it can; yield its URL, and the sizes of batches."""
    sizes: list[int] = []

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport
            self.received = b""

        def data_received(self, data: bytes) -> None:
            self.received += data
            head, end, body = self.received.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            if not end or (length and len(body) < int(length[1])):
                return
            answer = b'{"duration": "1ms"}'
            if head.startswith(b"POST"):
                sizes.append(body.count(b'"user-'))
                answer = b'{"duration": "1ms", "task_id": "00000000-0000-4000-8000-%012d"}' % len(sizes)
            self.received = b""
            self.transport.write(
                b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(answer), answer)
            )

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(
        loop.create_server(Connection, "127.0.0.1", 0, backlog=100), loop
    ).result()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", sizes
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_million_ids_from_a_file_take_less_than_a_hundred_mebibytes(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    with path.open("w") as lines:
        lines.writelines(f"user-{number:020d}-with-a-rather-long-id\n" for number in range(MILLION))
    with quick_stream() as (url, sizes):
        connection = {"conn_type": "stream", "login": "key", "password": "s" * 32, "host": url}
        done = subprocess.run(
            [sys.executable, "-c", WORKER, str(path)],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "AIRFLOW_CONN_STREAM_DEFAULT": json.dumps(connection),
                "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            },
            capture_output=True,
            text=True,
            check=True,
        )
    measured = json.loads(done.stdout.splitlines()[-1])
    assert sizes == [100] * (MILLION // 100)
    assert measured["ids"] == MILLION // 100
    used = (measured["highest"] - measured["idle"]) / MEBIBYTE
    print(f"{used:.0f} MiB above an idle process of {measured['idle'] / MEBIBYTE:.0f} MiB")
    assert used < 100
