"""The object storage beside Stream: signed URLs, export files, uploads."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode

from airflow_provider_streamtasks.sandbox.answers import Answer, missing
from airflow_provider_streamtasks.sandbox.content import Content, Part
from airflow_provider_streamtasks.sandbox.endpoints import Visit

EXPORTS = "/sandbox/exports"
UPLOADS = "/sandbox/uploads"
_CONTENT_TYPES = {"json": "application/json", "jsonl": "application/x-ndjson", "csv": "text/csv"}


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file that an export left.

    :param content: its bytes.
    :param ranges: whether parts of it are handed out.
    :param checksum: whether its checksum is told with it.
    """

    content: Content
    ranges: bool = True
    checksum: bool = False


@dataclass(slots=True)
class Storage:
    """Holds files, and hands out URLs that open them for a while.

    :param clock: Unix time in seconds.
    :param base_url: where the sandbox listens; known once it does.
    """

    clock: Callable[[], float]
    base_url: str = ""
    exports: dict[str, ExportedFile] = field(default_factory=dict)
    uploads: dict[str, int] = field(default_factory=dict)
    expired: set[str] = field(default_factory=set)
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def sign(self, path: str, lifetime: float) -> str:
        """A URL for a path, valid for some seconds, and different each time it is asked for."""
        expires = str(int(self.clock() + lifetime))
        nonce = secrets.token_hex(8)
        query = urlencode({"Expires": expires, "Signature": nonce + self._digest(path, expires, nonce)})
        return f"{self.base_url}{quote(path)}?{query}"

    def opens(self, path: str, query: Mapping[str, str]) -> bool:
        """Whether a signed URL for this path is genuine and still valid."""
        signature, expires = query.get("Signature", ""), query.get("Expires", "")
        nonce, digest = signature[:16], signature[16:]
        genuine = hmac.compare_digest(digest.encode(), self._digest(path, expires, nonce).encode())
        return genuine and self.clock() < int(expires) and signature not in self.expired

    def expire(self, query: Mapping[str, str]) -> None:
        """Let a signed URL be expired from now on, whatever it says."""
        self.expired.add(query.get("Signature", ""))

    def _digest(self, path: str, expires: str, nonce: str) -> str:
        message = f"{path}\n{expires}\n{nonce}".encode()
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()

    def download(self, visit: Visit) -> Answer:
        """Hand out an exported file, or the rest of it."""
        file = self.exports.get(visit.path)
        if file is None:
            raise missing("there is no such file")
        etag, size = f'"{file.content.etag}"', len(file.content)
        headers = {"ETag": etag, "Accept-Ranges": "bytes" if file.ranges else "none"}
        if file.checksum:
            headers["Content-MD5"] = file.content.md5
        whole = Part(file.content, 0, size)
        answer = Answer(200, whole, _CONTENT_TYPES[visit.path.rpartition(".")[2]], headers)
        asked = re.fullmatch(r"bytes=(\d{1,18})-", visit.headers.get("Range", "")) if file.ranges else None
        if asked is None or visit.headers.get("If-Range", etag) != etag:
            return answer
        start = int(asked[1])
        if start >= size:
            return replace(answer, status=416, body=b"", headers={"Content-Range": f"bytes */{size}"})
        # A part's MD5 would be that of the part.
        headers.pop("Content-MD5", None)
        headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        return replace(answer, status=206, body=whole[start:], headers=headers)

    def upload(self, visit: Visit) -> Answer:
        """Take a file for an import; only its size is kept."""
        self.uploads[visit.path] = len(visit.content)
        return Answer(200, b"", "text/plain")

    def reset(self) -> None:
        """Throw all files away."""
        self.exports.clear()
        self.uploads.clear()
        self.expired.clear()
