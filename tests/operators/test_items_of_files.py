"""Files of items: what is read from which file, and what is refused with the line's number."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from airflow.sdk import Context
from moto.server import ThreadedMotoServer
from pyarrow import parquet

from airflow_provider_streamtasks.operators import item_files
from airflow_provider_streamtasks.operators.chat import StreamExportChannelsOperator
from airflow_provider_streamtasks.operators.feeds import StreamDeleteFeedOperator
from airflow_provider_streamtasks.operators.items import ItemFile
from airflow_provider_streamtasks.operators.users import StreamDeactivateUsersOperator
from airflow_provider_streamtasks.protocol.catalogue import (
    DEACTIVATE_USERS,
    EXPORT_CHANNELS,
    IMPORT_BLOCK_LIST,
)
from airflow_provider_streamtasks.protocol.fields import Anything, Items
from airflow_provider_streamtasks.protocol.operations import Operation
from airflow_provider_streamtasks.sandbox import SandboxControl
from tests.airflow_tasks import Run

IDS = ["ann", "täsk✓", "42"]
CSV = 'name,user_id\n"Ann, the\nfirst",ann\n\n"say ""hi""", täsk✓ \nx,42\n'
JSON = '{"user": {"id": "ann"}, "a.b": 1}\n\n{"user": {"id": "täsk✓"}}\n{"user": {"id": 42}}\n'


def read(path: Any, column: str | None = None, operation: Operation = DEACTIVATE_USERS) -> list[Any]:
    assert operation.items
    with ItemFile(operation.items, path, Context(), column) as items:
        return list(items)


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (
            "s3://aws_typo@bucket/ids.txt",
            "user_ids names the connection 'aws_typo': Airflow has none of that id",
        ),
        (
            "s3://stream_default@bucket/ids.txt",
            "user_ids names the connection 'stream_default': it leads to Stream",
        ),
        ("nowhere://bucket/ids.txt", "user_ids is 'nowhere://bucket/ids.txt': "),
        ("abfss://ids@account.dfs.core.windows.net/a", "Write abfs://CONNECTION@ids/a"),
    ],
)
@pytest.mark.usefixtures("connection")
def test_a_wrong_location_is_refused_before_the_first_request(location: str, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        read(location)


FILES = {
    "lines": ("ids.txt", "ann\n täsk✓\t\r\n\n42", None),
    "lines without an ending": ("ids", "ann\ntäsk✓\n42\n", None),
    "lines of a csv with one column and no header": ("ids.csv", "ann\ntäsk✓\n42\n", None),
    "csv": ("ids.csv", CSV, "user_id"),
    "csv by its whole name": ("export.2026.CSV", CSV.replace("\n", "\r\n"), "user_id"),
    "tsv": ("ids.tsv", "user_id\tname\nann\ta,b\ntäsk✓\t\n42\t\n", "user_id"),
    "json lines": ("ids.jsonl", JSON, "user.id"),
    "ndjson": ("ids.ndjson", JSON, "user.id"),
    "json": ("ids.json", JSON, "user.id"),
    "a key with a dot": ("ids.jsonl", '{"a.b": "ann"}\n{"a.b": "täsk✓"}\n{"a": {"b": "42"}}', "a.b"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "byte-order-mark"])
@pytest.mark.parametrize("file", FILES)
def test_files_are_read_by_their_ending(file: str, mark: bytes, packed: bool, tmp_path: Path) -> None:
    name, text, column = FILES[file]
    content = mark + text.encode()
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(content) if packed else content)
    assert read(path, column) == IDS


@pytest.mark.parametrize("name", ["ids.txt", "ids.txt.gz"])
@pytest.mark.parametrize("packed", [False, True])
def test_the_content_says_whether_it_is_gzip(name: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"ann\n") + gzip.compress(b"bob\n") if packed else b"ann\nbob\n")
    assert read(path) == ["ann", "bob"]


def test_parquet_is_read_by_column_over_all_row_groups(tmp_path: Path) -> None:
    rows = [{"n": n, "user": {"id": f"u{n}"}, "noise": "x" * 50} for n in range(25_000)]
    path = tmp_path / "ids.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=7_000)
    assert read(path, "user.id") == [f"u{n}" for n in range(25_000)]
    assert read(path, "n") == [str(n) for n in range(25_000)]


def test_objects_may_stand_at_a_key(tmp_path: Path) -> None:
    path = tmp_path / "channels.jsonl"
    path.write_text('{"channel": {"type": "messaging", "id": "a"}}\n{"channel": "messaging:b"}\n')
    assert read(path, "channel", EXPORT_CHANNELS) == [
        {"type": "messaging", "id": "a"},
        {"cid": "messaging:b"},
    ]


def test_numbers_stay_numbers_where_anything_goes(tmp_path: Path) -> None:
    path = tmp_path / "ids.jsonl"
    path.write_text('{"id": 1}\n{"id": 2}\n')
    with ItemFile(Items("ids", 100, Anything(), free_text=True), path, Context(), "id") as items:
        numbers: list[Any] = list(items)
    assert numbers == [1, 2]


def test_words_of_a_block_list_may_hold_commas_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text('items\nno, thanks\n"quoted"\n{curly\n')
    assert read(path, None, IMPORT_BLOCK_LIST) == ["items", "no, thanks", '"quoted"', "{curly"]


REFUSED = {
    "a header": ("ids.txt", b"user_id\nann\n", None, "line 1: 'user_id' looks like a header"),
    "commas": ("ids.txt", b"ann\n\nbob,Bob\n", None, "line 3: it holds ',': one item per line is needed"),
    "quotes": ("ids.csv", b'ann\n"bob"\n', None, "line 2: it holds '\"'"),
    "braces": ("ids.txt", b"ann\n{x\n", None, "line 2: it holds '{'"),
    "json": ("ids.jsonl", b'{"id": "ann"}\n', None, "line 1: it looks like JSON"),
    "a json list": ("ids.json", b'["ann"]\n', None, "line 1: it looks like JSON"),
    "tabs": ("ids.txt", b"ann\tAnn\n", None, "line 1: it holds '\\t'"),
    "control characters": (
        "ids.txt",
        b"ann\nb\x00b\n",
        None,
        "line 2: it holds the control character",
    ),
    "not utf-8": ("ids.txt", b"ann\nb\xe4b\n", None, "line 2: a file in UTF-8 is needed"),
    "cut gzip": ("ids.gz", gzip.compress(b"ann\n")[:-4], None, "the gzip file is damaged or cut off"),
    "padded by a database": (
        "ids.jsonl",
        b'{"a": "joe"}\n{"a": "ann   "}\n',
        "a",
        "line 2: an item of user_ids is 'ann   ': a non-empty string like 'john' without blanks",
    ),
    "bad item": ("ids.txt", b"ann\n" + b"x" * 256, None, "line 2: an item of user_ids has 256 characters"),
    "no column": ("ids.csv", b"a,b\n1,2\n", "c", "line 1: ids_column is 'c': the header must have"),
    "another column": (
        "ids.csv",
        b"name,user_id\n1,2\n",
        "userid",
        "once; it has 2 columns, 'user_id' among them",
    ),
    "column twice": ("ids.csv", b"a,a\n1,2\n", "a", "line 1: ids_column is 'a': the header must have"),
    "fields": ("ids.csv", b"a,b\n1,2\n3\n", "a", "line 3: the row has 1 fields, the header 2"),
    "open quote": ("ids.csv", b'a\n1\n"2\n', "a", "line 3: the CSV file is broken"),
    "empty cell": ("ids.csv", b"a,b\n1,2\n,4\n", "a", "line 3: there is nothing in 'a'"),
    "no rows": ("ids.csv", b"a,b\n", "a", "user_ids is empty"),
    "no json": ("ids.jsonl", b'{"a": "x"}\n{"a": \n', "a", "line 2: a JSON object on one line is needed"),
    "json of another kind": ("ids.jsonl", b'["x"]\n', "a", "line 1: a JSON object on each line is needed"),
    "no key": ("ids.jsonl", b'{"a": "x"}\n{"b": 1}\n', "a", "line 2: there is nothing in 'a'"),
    "a number with a point": ("ids.jsonl", b'{"a": 1.5}\n', "a", "line 1: an item of user_ids is 1.5"),
    "column of lines": ("ids.txt", b"ann\n", "a", "ids_column is 'a': a file that ends in .csv"),
    "parquet without column": ("ids.parquet", b"PAR1xx", None, "it is a Parquet file: ids_column"),
    "parquet of another name": ("ids.txt", b"PAR1xx", None, "it is a Parquet file: ids_column"),
    "broken parquet": ("ids.parquet", b"PAR1 and no more", "a", "the Parquet file is broken"),
    "parquet in gzip": ("ids.parquet.gz", gzip.compress(b"PAR1"), "a", "it is a Parquet file within gzip"),
}


@pytest.mark.parametrize("file", REFUSED)
def test_what_is_not_what_was_asked_for_is_refused_before_the_first_request(
    file: str, tmp_path: Path, connection: None, control: SandboxControl
) -> None:
    name, content, column, words = REFUSED[file]
    path = tmp_path / name
    path.write_bytes(content)
    operator = StreamDeactivateUsersOperator(task_id="deactivate", user_ids=path, ids_column=column)
    with pytest.raises(ValueError, match=r"^user_ids is '.*" + re.escape(words)):
        operator.execute(Run().context)
    assert control.journal() == []


def test_a_word_in_brackets_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("[spam]\n")
    assert read(path, None, IMPORT_BLOCK_LIST) == ["[spam]"]


def test_duplicates_are_found_however_far_apart() -> None:
    assert DEACTIVATE_USERS.items
    ids = [f"user-{n}" for n in range(300_000)]
    with ItemFile(DEACTIVATE_USERS.items, ids + ids[::-1] + ["last"] + ids[:5], Context()) as items:
        assert len(items) == 300_001
        assert list(items) == [*ids, "last"]


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    with gzip.open(path, "wb", 1) as file:
        file.write(b"x" * (item_files.LONGEST_LINE + 1))
    with pytest.raises(ValueError, match="line 1: the line has more than"):
        read(path)


def test_a_parquet_file_without_value_or_column_names_the_row_or_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "ids.parquet"
    parquet.write_table(pyarrow.table({"a": ["x", None], "b": [1, 2], "d": ["x", " y"]}), path)
    with pytest.raises(ValueError, match="row 2: there is nothing in 'a'"):
        read(path, "a")
    with pytest.raises(ValueError, match=r"row 2: an item of user_ids is ' y': .* without blanks"):
        read(path, "d")
    with pytest.raises(ValueError, match="ids_column is 'c': the file has 'a', 'b', 'd'"):
        read(path, "c")


def test_a_parquet_file_without_pyarrow_says_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "ids.parquet"
    parquet.write_table(pyarrow.table({"user_id": ["ann"]}), path)
    program = f"""
import sys
sys.modules["pyarrow"] = None  # importing it fails, as where it is not installed
from airflow.sdk import Context
from airflow_provider_streamtasks.operators.items import ItemFile
from airflow_provider_streamtasks.protocol.catalogue import DEACTIVATE_USERS
with ItemFile(DEACTIVATE_USERS.items, "file://{path}", Context(), "user_id") as items:
    next(iter(items))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "Parquet needs pyarrow: pip install 'airflow-provider-streamtasks[parquet]'" in ended.stderr


@pytest.mark.parametrize("ids", [["ann"], lambda context: ["ann"]])
def test_a_column_needs_a_file_when_the_dag_is_parsed(ids: Any) -> None:
    with pytest.raises(ValueError, match=r"^ids_column is 'a': it needs a file"):
        StreamDeactivateUsersOperator(task_id="deactivate", user_ids=ids, ids_column="a")


@pytest.mark.parametrize("column", ["", " ", 3, ["a"]])
def test_a_column_is_a_name(column: Any) -> None:
    with pytest.raises(ValueError, match=r"^ids_column is .*: a non-empty string is needed"):
        StreamDeactivateUsersOperator(task_id="x", user_ids="file:///ids.csv", ids_column=column)


def test_an_operation_without_items_takes_no_column() -> None:
    with pytest.raises(ValueError, match=r"^ids_column is 'a': it needs a file of items"):
        StreamDeleteFeedOperator(task_id="x", feed_group_id="user", feed_id="a", ids_column="a")


def test_an_operator_reads_its_column(tmp_path: Path, connection: None, control: SandboxControl) -> None:
    path = tmp_path / "channels.csv.gz"
    path.write_bytes(gzip.compress(b"cid,name\nmessaging:a,A\nmessaging:b,B\n"))
    StreamExportChannelsOperator(task_id="x", channels=path, ids_column="cid").execute(Run().context)
    (request,) = control.journal("ExportChannels")
    assert request["body"]["channels"] == [{"cid": "messaging:a"}, {"cid": "messaging:b"}]


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, int]]:
    # One for all: Airflow keeps the file system of a connection.
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture
def s3(moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Any:
    host, port = moto
    where = {
        "conn_type": "aws",
        "login": "testing",
        "password": "testing",
        "extra": {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_S3_OF_ITEMS", json.dumps(where))
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    hook = S3Hook("s3_of_items")
    hook.create_bucket("items")
    return hook


@pytest.mark.parametrize("file", ["ids.csv", "ids.csv.gz", "ids.parquet"])
def test_files_are_read_from_s3(file: str, s3: Any, tmp_path: Path) -> None:
    ids = [f"user-{n}" for n in range(50_000)]
    path = tmp_path / file
    if file.endswith("parquet"):
        parquet.write_table(pyarrow.table({"user_id": ids}), path, row_group_size=10_000)
    else:
        text = "user_id\n" + "".join(f"{i}\n" for i in ids)
        path.write_bytes(gzip.compress(text.encode()) if file.endswith("gz") else text.encode())
    s3.load_file(str(path), file, "items")
    assert read(f"s3://s3_of_items@items/{file}", "user_id") == ids


def test_a_first_row_that_is_no_header_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("joe,Joe Smith,joe@example.com\n")
    with pytest.raises(ValueError, match="the header must have this column once; it has 3 columns") as raised:
        read(tmp_path / "ids.csv", "user_id")
    assert "joe" not in str(raised.value).lower()
