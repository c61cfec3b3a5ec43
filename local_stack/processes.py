"""Child processes that do not outlive us: each leads a session of its own and is stopped as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ChildProcess:
    """
    A program and everything that it spawns.

    It is signalled by session, not by process group: Airflow puts each running task into a group of
    its own, and a task must not survive its scheduler. Start it under :func:`signals_held` until it is
    noted where it will be stopped.

    :param name: what to call it in messages.
    :param argv: the command.
    :param env: its whole environment.
    :param cwd: its working directory.
    :param log: the file that its output is appended to.
    """

    def __init__(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._begin = output.tell()
            self._popen = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether the program itself (not merely something that it spawned) still runs."""
        return self._popen.returncode is None and _runs(self.pid)

    def members(self) -> list[int]:
        """Return the pids of all that runs in its session, the program included."""
        if self._popen.returncode is not None:  # reaped, so the number may be a stranger's by now
            return []
        return [pid for pid in psutil.pids() if _session(pid) == self.pid and _runs(pid)]

    def send_signal(self, number: int) -> None:
        """Send a signal to the program and to everything that it spawned."""
        for pid in self.members():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def wait(self, timeout: float) -> int:
        """
        Wait until the program ends by itself, then end what it may have left behind.

        :param timeout: seconds.
        :raises TimeoutError: when it still runs after that.
        """
        deadline = time.monotonic() + timeout
        while self.alive:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} still runs after {timeout:.0f} s")
            time.sleep(0.05)
        stop_all([self], grace=0)
        return self._popen.wait()

    def output(self) -> str:
        """Return its own output: not what an earlier process left in the same file."""
        with self.log.open("rb") as log:
            log.seek(self._begin)
            return log.read().decode(errors="replace")

    def tail(self, lines: int = 30) -> str:
        """Return the last lines of its output."""
        return "\n".join(self.output().splitlines()[-lines:])

    def reap(self) -> bool:
        """Collect the program's exit code if nothing of it runs any more, and say whether that is so."""
        if self.members():
            return False
        self._popen.wait()
        return True


def stop_all(processes: Iterable[ChildProcess], *, grace: float) -> None:
    """
    Stop processes with all that they spawned, and return when none of it runs any more.

    :param processes: they get SIGTERM together.
    :param grace: seconds until what is left gets SIGKILL.
    """
    left = list(processes)
    deadline = time.monotonic() + grace
    with signals_held():
        for process in left:
            process.send_signal(signal.SIGCONT)  # a stopped process would not see the next signal
            process.send_signal(signal.SIGTERM)
        while left:
            left = [process for process in left if not process.reap()]
            if time.monotonic() >= deadline:
                for process in left:
                    process.send_signal(signal.SIGKILL)
            if left:
                time.sleep(0.05)


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold back what would end us while a child is started or stopped, and let it act afterwards."""
    if threading.current_thread() is not threading.main_thread():  # signals arrive in the main thread only
        yield
        return
    held: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        held.append(number)

    previous = {number: signal.signal(number, hold) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and SIGHUP do what Ctrl-C does, so that every ``with`` cleans up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    ours = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:  # it is gone, or not ours to ask about
        return None


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
