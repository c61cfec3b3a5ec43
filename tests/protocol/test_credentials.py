from __future__ import annotations

import jwt
import pytest

from airflow_provider_streamtasks import __version__
from airflow_provider_streamtasks.exceptions import StreamConfigurationError
from airflow_provider_streamtasks.protocol.credentials import DEFAULT_BASE_URL, Credentials

SECRET = "a-secret-of-at-least-thirty-two-bytes"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (DEFAULT_BASE_URL, "https://chat.stream-io-api.com"),
        ("chat.stream-io-api.com", "https://chat.stream-io-api.com"),
        ("chat.stream-io-api.com:443", "https://chat.stream-io-api.com:443"),
        ("https://proxy.example/stream/", "https://proxy.example/stream"),
        ("https://proxy.example/", "https://proxy.example"),
        ("http://localhost:8765", "http://localhost:8765"),
        ("http://127.0.0.1:8765/", "http://127.0.0.1:8765"),
        ("http://127.1.2.3", "http://127.1.2.3"),
        ("http://[::1]:8765", "http://[::1]:8765"),
        ("HTTPS://chat.stream-io-api.com", "https://chat.stream-io-api.com"),
    ],
)
def test_a_base_url_is_scheme_host_port_and_path(given: str, used: str) -> None:
    assert Credentials("key", SECRET, given).base_url == used


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("http://chat.stream-io-api.com", "must begin with https://"),
        ("http://127.0.0.1.example.com", "must begin with https://"),
        ("http://localhost.example.com", "must begin with https://"),
        ("http://0.0.0.0", "must begin with https://"),
        ("http://10.0.0.1", "must begin with https://"),
        ("ftp://localhost", "must begin with https://"),
        ("file:///etc/passwd", "must be scheme, host"),
        ("https://me:pass-word@chat.stream-io-api.com", "must be scheme, host"),
        ("https://me@chat.stream-io-api.com", "must be scheme, host"),
        ("http://evil.example@127.0.0.1", "must be scheme, host"),
        ("https://chat.stream-io-api.com?api_key=x", "must be scheme, host"),
        ("https://chat.stream-io-api.com#x", "must be scheme, host"),
        ("https://", "must be scheme, host"),
        ("https://:443", "must be scheme, host"),
        ("https://[::1", "is no URL"),
        ("https://host:port", "is no URL"),
        ("https://host:99999", "is no URL"),
    ],
)
def test_any_other_base_url_is_refused(given: str, problem: str) -> None:
    with pytest.raises(StreamConfigurationError, match="base URL") as raised:
        Credentials("key", SECRET, given)
    assert problem in str(raised.value)
    assert "pass-word" not in str(raised.value)


@pytest.mark.parametrize(
    ("key", "secret", "named"),
    [
        ("", SECRET, "API key (login)"),
        ("key", "", "API secret (password)"),
        ("k y", SECRET, "API key (login)"),
        ("key\n", SECRET, "API key (login)"),
        ("kéy", SECRET, "API key (login)"),
        ("key", f"{SECRET}\n", "API secret (password)"),
        ("key", f" {SECRET}", "API secret (password)"),
    ],
)
def test_a_key_or_secret_that_is_missing_or_cannot_be_one_is_named(key: str, secret: str, named: str) -> None:
    with pytest.raises(StreamConfigurationError) as raised:
        Credentials(key, secret)
    assert named in str(raised.value)
    assert SECRET not in str(raised.value)


def test_the_repr_does_not_show_the_secret() -> None:
    assert SECRET not in repr(Credentials("key", SECRET))


def test_the_token_is_signed_with_the_secret_and_immune_to_a_skewed_clock() -> None:
    token = Credentials("key", SECRET).token()
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    assert jwt.decode(token, SECRET, algorithms=["HS256"]) == {"server": True}


def test_another_secret_does_not_verify_the_token() -> None:
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(Credentials("key", SECRET).token(), SECRET[::-1], algorithms=["HS256"])


def test_the_headers_are_those_that_stream_asks_for() -> None:
    assert Credentials("key", SECRET).headers("token") == {
        "Authorization": "token",
        "stream-auth-type": "jwt",
        "X-Stream-Client": f"airflow-provider-streamtasks-{__version__}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
    }
