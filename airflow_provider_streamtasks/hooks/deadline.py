"""
One deadline for a whole request of ``requests``: connecting, sending, headers, body.

Its own timeouts restart with every byte that arrives. Here each read, write and connection attempt gets the
time that is left, through urllib3's connection classes, whatever lies between: TLS, a proxy, a pooled
connection.
"""

from __future__ import annotations

import io
import socket
import time
from contextvars import ContextVar, Token
from functools import lru_cache
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from airflow_provider_streamtasks import _compat

ARRIVED = 0.001
"""Seconds to take what has arrived already."""

GRACE = 1.0
"""Seconds, counted from the first late read, for which what has arrived already is taken."""

_current: ContextVar[Deadline] = ContextVar("deadline")


class Deadline:
    """
    When the request must be over that is sent within ``with deadline: ...``, and whether any of it was sent.

    :param seconds: for all of it
    :param connect_seconds: the part of them in which the connection must be made, TLS and proxy included
    """

    def __init__(self, seconds: float, connect_seconds: float) -> None:
        now = time.monotonic()
        self._end = now + seconds
        self._connect_end = now + connect_seconds
        self._last_read = 0.0
        self.connecting = False
        self.request_sent = not _compat.keeps_deadlines()
        """Whether the other side may have got any of the request, all of which goes through ``send``."""

    def __enter__(self) -> None:
        self._token: Token[Deadline] = _current.set(self)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)

    def left(self) -> float:
        """
        Return how many seconds are left.

        :raises TimeoutError: if none are
        """
        left = (self._connect_end if self.connecting else self._end) - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time is over")
        return left

    def left_to_read(self) -> float:
        """
        Return for how many seconds to wait for what comes next. What has arrived counts, even if late.

        :raises TimeoutError: if the time has been over for too long
        """
        now = time.monotonic()
        if self.connecting or now < self._end:
            return self.left()
        self._last_read = self._last_read or now + GRACE
        if now > self._last_read:
            raise TimeoutError("the time is over, and more keeps coming")
        return ARRIVED


class DeadlineAdapter(HTTPAdapter):
    """A transport adapter of ``requests`` whose requests keep the :class:`Deadline` that each is sent in."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of connections."""
        super().init_poolmanager(*args, **kwargs)
        _limit(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Return the pools of connections through a proxy."""
        return _limit(super().proxy_manager_for(proxy, **proxy_kwargs))


def _limit(manager: Any) -> Any:
    if not _compat.keeps_deadlines():
        return manager
    manager.pool_classes_by_scheme = {
        scheme: _limited(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }
    return manager


@lru_cache
def _limited(pool: type[Any]) -> type[Any]:
    """Return a class of pools whose connections keep the deadline."""
    if issubclass(pool.ConnectionCls, _LimitedConnection):
        return pool
    connection = type(pool.ConnectionCls.__name__, (_LimitedConnection, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _LimitedResponse(HTTPResponse):
    """An answer each of whose reads waits only as long as is left."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_LimitedReader(self.fp.detach(), sock, _current.get()))


class _LimitedReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: Deadline) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.left_to_read())
        return self._raw.readinto(buffer)

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LimitedConnection(HTTPConnection):
    """Mixed into each of urllib3's classes of connections, to keep the deadline."""

    response_class = _LimitedResponse

    def connect(self) -> None:
        deadline = _current.get()
        deadline.request_sent, deadline.connecting = False, True
        try:
            super().connect()
        finally:
            deadline.connecting = False

    def send(self, data: Any) -> None:
        deadline = _current.get()
        if self.sock is None:
            self.connect()
        self.sock.settimeout(deadline.left())
        # While connecting, only a proxy gets it.
        deadline.request_sent = not deadline.connecting
        super().send(data)

    def _new_conn(self) -> socket.socket:
        deadline = _current.get()
        if super()._new_conn.__func__ is HTTPConnection._new_conn:  # type: ignore[attr-defined]
            sock = self._connect_to_any(deadline)
        else:
            # Such as through a SOCKS proxy, which must not be bypassed.
            self.timeout = deadline.left()
            sock = super()._new_conn()
        # The TLS handshake gets the time that is left.
        sock.settimeout(deadline.left())
        return sock

    def _connect_to_any(self, deadline: Deadline) -> socket.socket:
        """Connect to one of the host's addresses, none of which may use up the time of the others."""
        host = self.host.strip("[]")
        try:
            found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        problem: OSError = OSError("no address")
        for untried, address in zip(range(len(found), 0, -1), found, strict=True):
            try:
                return create_connection(
                    address[4][:2],  # type: ignore[arg-type]
                    deadline.left() / untried,
                    source_address=self.source_address,
                    socket_options=self.socket_options,
                )
            except OSError as error:
                problem = error
        if isinstance(problem, TimeoutError):
            raise ConnectTimeoutError(self, str(problem)) from problem
        raise NewConnectionError(self, str(problem)) from problem
