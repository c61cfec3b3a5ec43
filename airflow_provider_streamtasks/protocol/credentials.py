"""Who we are at Stream: key, secret and base URL, and what they put on a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from airflow_provider_streamtasks import __version__
from airflow_provider_streamtasks.exceptions import StreamConfigurationError

DEFAULT_BASE_URL = "https://chat.stream-io-api.com"

_STREAMS_HOSTS = (".stream-io-api.com", ".getstream.io", ".stream-io-video.com")


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    What a request needs to be accepted by Stream.

    :param api_key: Stream's API key. It names the app and is no secret.
    :param api_secret: Stream's API secret
    :param base_url: where Stream's API is. ``https://``, or ``http://`` to a loopback host.
    :raises StreamConfigurationError: if one of them is missing or not allowed
    """

    api_key: str
    api_secret: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL

    def __post_init__(self) -> None:
        for name, value in (("API key (login)", self.api_key), ("API secret (password)", self.api_secret)):
            if not value:
                raise StreamConfigurationError(f"The connection has no {name}. Stream's dashboard shows it.")
            if not value.isascii() or not value.isprintable() or " " in value:
                raise StreamConfigurationError(
                    f"The connection's {name} has a space or another character that Stream never gives out."
                )
        object.__setattr__(self, "base_url", _checked_base_url(self.base_url))

    def token(self) -> str:
        """
        Return a new JSON Web Token for the server side.

        It carries no ``iat``, so a skewed clock cannot make it invalid. Stream docs: server tokens.
        """
        import jwt  # 73 ms, and parsing a DAG never needs it

        return jwt.encode({"server": True}, self.api_secret, algorithm="HS256")

    def headers(self, token: str) -> dict[str, str]:
        """Return the headers of a request that is signed with ``token``."""
        return {
            "Authorization": token,
            "stream-auth-type": "jwt",
            "X-Stream-Client": f"airflow-provider-streamtasks-{__version__}",
            "Accept": "application/json",
            # Answers are small. Without compression their size on the wire is their size in memory.
            "Accept-Encoding": "identity",
        }


def without_token(token: str, body: bytes) -> bytes:
    """Return a body with the token blotted out: errant proxies answer with the request that they got."""
    return body.replace(token.encode(), b"***")


def _checked_base_url(url: str) -> str:
    if not url.isprintable() or " " in url:
        # Python's parser drops some of these, and then reads another host than the one that is written.
        raise StreamConfigurationError(
            "The connection's base URL (host) has a blank, a line break or another character that no URL has."
        )
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise StreamConfigurationError(f"The connection's base URL (host) is no URL: {error}") from None
    if "@" in parts.netloc or parts.query or parts.fragment or not host:
        # The URL may hold somebody's password: it is not repeated.
        raise StreamConfigurationError(
            "The connection's base URL (host) must be scheme, host and perhaps port and path only, "
            f"such as {DEFAULT_BASE_URL}"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise StreamConfigurationError(
            f"The connection's base URL (host) {url!r} is not allowed: it must begin with https://. "
            "Plain http:// is for a loopback host only, because requests carry a secret token."
        )
    path = parts.path.rstrip("/")
    if path and (path.startswith("/api") or host.endswith(_STREAMS_HOSTS)):
        raise StreamConfigurationError(
            f"The connection's base URL (host) has a path, {path!r}: leave it out, the provider adds what "
            f"each call needs. Stream's is {DEFAULT_BASE_URL}"
        )
    return f"{parts.scheme}://{parts.netloc}{path}"


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this very machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
