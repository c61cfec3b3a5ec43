"""Small HTTP servers that do what the sandbox cannot: TLS, a proxy, a clock that is off."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@contextmanager
def answering(
    body: bytes, *, status: int = 200, clock: float | None = None, certificate: Path | None = None
) -> Iterator[str]:
    """Answer every request alike; yield the base URL.

    :param clock: what the ``Date`` header says (Unix seconds).
    :param certificate: PEM file with key and certificate: speak TLS.
    """

    class Handler(_Silent):
        def do_GET(self) -> None:
            self.send_response_only(status)
            self.send_header("Date", formatdate(clock, usegmt=True))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with _serving(Handler, certificate) as port:
        yield f"{'https' if certificate else 'http'}://localhost:{port}"


@contextmanager
def forwarding() -> Iterator[tuple[str, list[str]]]:
    """Be a proxy; yield its URL, and the list of the URLs that it was asked for."""
    asked: list[str] = []
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    class Handler(_Silent):
        def do_GET(self) -> None:
            asked.append(self.path)
            request = urllib.request.Request(self.path, headers=dict(self.headers))
            with direct.open(request) as answer:
                content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with _serving(Handler) as port:
        yield f"http://127.0.0.1:{port}", asked


@contextmanager
def receiving() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Take what is posted; yield the base URL, and the list of paths with the JSON that came there."""
    posted: list[tuple[str, Any]] = []

    class Handler(_Silent):
        def do_POST(self) -> None:
            posted.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

    with _serving(Handler) as port:
        yield f"http://127.0.0.1:{port}", posted


def self_signed(folder: Path, *, valid_for: timedelta = timedelta(days=2)) -> Path:
    """Write a PEM file with a key and a certificate for localhost that nobody trusts.

    :param valid_for: counted from yesterday; less than a day has passed already.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(yesterday)
        .not_valid_after(yesterday + valid_for)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


class _Silent(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler], certificate: Path | None = None) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
