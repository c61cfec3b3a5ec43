"""Ports of this machine for programs that must be told one."""

from __future__ import annotations

import secrets
import socket

# Below those that systems hand out by themselves: until the program listens, a connection, or a server
# that takes any port, would be given the same one now and then.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Return a port of the loopback interface on which nobody listens."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
