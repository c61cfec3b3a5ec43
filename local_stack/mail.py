"""A mail server on this machine that keeps what it gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class LocalMail:
    """
    A running mail server.

    :ivar port: where it listens on the loopback interface.
    :ivar messages: what it got, oldest first.
    """

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)

    @property
    def connection(self) -> str:
        """An Airflow connection to it, as the value of an ``AIRFLOW_CONN_*`` variable."""
        plain = {"disable_ssl": True, "disable_tls": True}
        return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": self.port, "extra": plain})

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Keep a message."""
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


class _OnAnyPort(Controller):
    """aiosmtpd's server on a port that the system chooses."""

    server: asyncio.Server

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def local_mail() -> Iterator[LocalMail]:
    """Run a mail server in a thread of this process, and stop it in the end."""
    mail = LocalMail()
    server = _OnAnyPort(mail, hostname="127.0.0.1", port=0)
    server.start()
    mail.port = server.port
    try:
        yield mail
    finally:
        server.stop()
