"""Stream's JavaScript SDKs, called from Python: a process of Node that lives as long as the tests."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_provider_streamtasks.sandbox import Sandbox
from tests.conformance.calls import GIVEN
from tests.conformance.javascript_calls import JAVASCRIPT, JavaScriptCall, Sdk

FOLDER = Path(__file__).parent / "javascript"
INSTALLED = shutil.which("node") is not None and (FOLDER / "node_modules" / ".installed").exists()
"""Whether the SDKs are there, which ``make conformance`` installs."""


@dataclass(frozen=True)
class Answer:
    """What an SDK makes of an answer.

    :param body: its fields, with a ``datetime`` where the SDK gives a ``Date``
    :param status: HTTP status
    :param headers: lower-case names
    """

    body: Any
    status: int
    headers: Mapping[str, str]


class JavaScriptError(Exception):
    """An SDK's exception.

    :ivar type: the class
    :ivar code: Stream's own code, as the SDK gives it
    :ivar status: HTTP status, as the SDK gives it
    :ivar rate_limit: what the SDK knows of the budget
    """

    def __init__(
        self,
        type: str,
        message: str,
        code: int | None = None,
        status: int | None = None,
        rate_limit: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.type = type
        self.code = code
        self.status = status
        self.rate_limit = rate_limit or {}


class JavaScript:
    """Calls the SDKs in one process of Node.

    :param process: it
    :param sandbox: what they are pointed at
    """

    def __init__(self, process: subprocess.Popen[str], sandbox: Sandbox) -> None:
        self._process = process
        self._sandbox = sandbox

    def call(self, call: JavaScriptCall, given: str = "", **credentials: str) -> Answer:
        """Return what a call gives.

        :param given: the id or the path of what exists before the call
        :param credentials: replace the right ``key`` or ``secret``
        :raises JavaScriptError: what the SDK throws
        """
        order = {
            "sdk": call.sdk,
            "key": self._sandbox.api_key,
            "secret": self._sandbox.api_secret,
            "url": self._sandbox.url,
            **credentials,
            "on": call.steps,
        }
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(
            json.dumps(order, default=lambda value: given if value is GIVEN else {"$date": value.isoformat()})
        )
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline(), object_hook=_dates)
        if "error" in reply:
            raise JavaScriptError(**reply["error"])
        return Answer(**reply)

    def get_task(self, sdk: Sdk, stream_task_id: str) -> Answer:
        """Return what an SDK's own call shows of a Stream task."""
        [call] = (call for call in JAVASCRIPT if (call.sdk, call.label) == (sdk, "GetTask"))
        return self.call(call, stream_task_id)


def _dates(value: dict[str, Any]) -> Any:
    if "$date" not in value:
        return value
    return datetime.fromisoformat(value["$date"].replace("Z", "+00:00")) if value["$date"] else None


@contextmanager
def javascript_sdks(sandbox: Sandbox) -> Iterator[JavaScript]:
    """Run the SDKs, pointed at a sandbox."""
    with subprocess.Popen(
        ["node", "sdks.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield JavaScript(process, sandbox)
        # It ends with its input.
        assert process.stdin
        process.stdin.close()
        process.wait(timeout=10)
