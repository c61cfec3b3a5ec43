"""Small HTTP servers that do what the sandbox cannot: TLS, a proxy, a clock that is off."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
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
def dripping(
    pieces: Sequence[bytes], *, pause: float, certificate: Path | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    """Answer every request piece by piece; yield the base URL, and the list of the requests' beginnings.

    :param pause: seconds before each piece.
    :param certificate: PEM file with key and certificate: speak TLS.
    """
    asked: list[bytes] = []
    over = threading.Event()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
    if tls and certificate:
        tls.load_cert_chain(certificate)

    def serve(connection: socket.socket) -> None:
        with (
            suppress(OSError),
            connection as plain,
            tls.wrap_socket(plain, server_side=True) if tls else plain as talk,
        ):
            while begun := talk.recv(65536):
                asked.append(begun)
                for piece in pieces:
                    if over.wait(pause):
                        return
                    talk.sendall(piece)

    def accept() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://localhost:{listener.getsockname()[1]}", asked
        finally:
            over.set()
            thread.join()


@contextmanager
def full(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Listen and let nobody in: further connections get no answer at all. Yield the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket(family))
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield listener.getsockname()[1]


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


@contextmanager
def playing_airflow(answer: Callable[[str], Any]) -> Iterator[str]:
    """Answer like Airflow's REST API; yield the base URL.

    :param answer: gets the path of a GET, and returns what its JSON says.
    """

    class Handler(_Silent):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            content = json.dumps({"access_token": "t"} if path == "/auth/token" else answer(path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with _serving(Handler) as port:
        yield f"http://127.0.0.1:{port}"


def self_signed(folder: Path, *, valid_for: timedelta = timedelta(days=2), host: str = "localhost") -> Path:
    """Write a PEM file with a key and a certificate that nobody trusts.

    :param valid_for: counted from yesterday; less than a day has passed already.
    :param host: whose it is.
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
            x509.SubjectAlternativeName(
                [
                    x509.DNSName(host),
                    *([x509.IPAddress(ip_address("127.0.0.1"))] if host == "localhost" else []),
                ]
            ),
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


def folder_of_authorities(certificate: Path, folder: Path) -> Path:
    """Put a certificate into a folder under the name by which OpenSSL looks for it there."""
    subject = x509.load_pem_x509_certificate(certificate.read_bytes()).subject.public_bytes()
    # OpenSSL's hash of a name: SHA-1 of its canonical form (for ours: DER without the outermost header).
    number = int.from_bytes(hashlib.sha1(subject[2:], usedforsecurity=False).digest()[:4], "little")
    folder.mkdir()
    (folder / f"{number:08x}.0").write_bytes(certificate.read_bytes())
    return folder


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
