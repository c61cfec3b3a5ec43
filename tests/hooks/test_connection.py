from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_streamtasks.exceptions import StreamConfigurationError
from airflow_provider_streamtasks.hooks.connection import StreamConnection, read_connection


def read(extra: dict[str, Any] | None = None, **others: Any) -> StreamConnection:
    fields = {"conn_id": "my_stream", "conn_type": "stream", "login": "key", "password": "secret", **others}
    return read_connection(Connection(**fields, extra=None if extra is None else json.dumps(extra)))


def test_a_connection_with_key_and_secret_leads_to_stream_with_the_defaults() -> None:
    connection = read()
    assert connection.credentials.api_key == "key"
    assert connection.credentials.api_secret == "secret"
    assert connection.credentials.base_url == "https://chat.stream-io-api.com"
    assert connection.request_timeout == 30
    assert connection.rate_limit_share == 0.8


@pytest.mark.parametrize(
    ("host", "port", "base_url"),
    [
        ("https://stream.example", None, "https://stream.example"),
        ("https://stream.example", 0, "https://stream.example"),
        ("https://stream.example", 8443, "https://stream.example:8443"),
        ("https://stream.example:8443", 8443, "https://stream.example:8443"),
        ("https://stream.example/base", 8443, "https://stream.example:8443/base"),
        ("stream.example", 8443, "https://stream.example:8443"),
        ("http://[::1]", 8443, "http://[::1]:8443"),
        (None, 443, "https://chat.stream-io-api.com:443"),
        ("", None, "https://chat.stream-io-api.com"),
    ],
)
def test_the_port_may_stand_in_a_field_of_its_own(host: str | None, port: int | None, base_url: str) -> None:
    assert read(host=host, port=port).credentials.base_url == base_url


@pytest.mark.parametrize("unset", [{}, {"request_timeout": None}, {"request_timeout": ""}])
def test_an_extra_that_the_form_left_empty_is_unset(unset: dict[str, Any]) -> None:
    assert read(unset).request_timeout == 30


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("request_timeout", 5, 5),
        ("request_timeout", 0.5, 0.5),
        ("request_timeout", "5", 5),
        ("request_timeout", 3600, 3600),
        ("rate_limit_share", 0.1, 0.1),
        ("rate_limit_share", 1, 1),
    ],
)
def test_the_extra_replaces_a_default(name: str, value: Any, number: float) -> None:
    assert getattr(read({name: value}), name) == number


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("request_timeout", 0, "above 0 and at most 3600"),
        ("request_timeout", 10**400, "above 0 and at most 3600"),
        ("request_timeout", -1, "above 0 and at most 3600"),
        ("request_timeout", 3601, "above 0 and at most 3600"),
        ("request_timeout", "soon", "above 0 and at most 3600"),
        ("request_timeout", [5], "above 0 and at most 3600"),
        ("request_timeout", "nan", "above 0 and at most 3600"),
        ("request_timeout", "inf", "above 0 and at most 3600"),
        ("rate_limit_share", 0, "above 0 and at most 1"),
        ("rate_limit_share", 1.1, "above 0 and at most 1"),
        ("rate_limit_share", {}, "above 0 and at most 1"),
    ],
)
def test_an_extra_that_is_not_allowed_is_named_with_what_is(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(StreamConfigurationError) as raised:
        read({name: value})
    assert f"Connection 'my_stream': extra {name} is {value!r}: a number {allowed}" in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"login": None}, "has no API key (login)"),
        ({"password": None}, "has no API secret (password)"),
        ({"host": "http://stream.example"}, "must begin with https://"),
        ({"host": "https://[::1"}, "is no URL"),
    ],
)
def test_every_problem_names_the_connection(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(StreamConfigurationError, match="Connection 'my_stream': ") as raised:
        read(**fields)
    assert problem in str(raised.value)
