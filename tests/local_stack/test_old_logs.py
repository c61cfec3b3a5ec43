"""A machine on which a sandbox or another process ran before, into the same log."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from local_stack.processes import ChildProcess
from local_stack.sandbox import local_sandbox


def test_the_sandbox_is_where_it_says_now_and_not_where_one_before_it_was(tmp_path: Path) -> None:
    log = tmp_path / "sandbox.log"
    log.write_text("Stream sandbox listening on http://127.0.0.1:9\n")
    with local_sandbox(log) as sandbox:
        assert sandbox.url != "http://127.0.0.1:9"
        assert sandbox.control.tasks() == []


def test_a_process_does_not_take_the_words_of_the_one_before_it_for_its_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for word in ("first", "second"):
        process = ChildProcess(
            word, [sys.executable, "-c", f"print({word!r})"], env=os.environ, cwd=tmp_path, log=log
        )
        process.wait(20)
        assert process.output() == process.tail() + "\n" == f"{word}\n"
    assert log.read_text() == "first\nsecond\n"
