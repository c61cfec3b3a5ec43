from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_streamtasks.exceptions import StreamConfigurationError
from airflow_provider_streamtasks.hooks.connection import (
    StreamConnection,
    missing_connection,
    read_connection,
)
from airflow_provider_streamtasks.hooks.stream import StreamHook


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
        ("https://gateway.example/base", 8443, "https://gateway.example:8443/base"),
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
        ("request_timeout", True, "above 0 and at most 3600"),
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


# -- slips -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("request_timeot", "Is request_timeout meant?"),
        ("timeout", "Is request_timeout meant?"),
        ("rate_limit_shere", "Is rate_limit_share meant?"),
        ("region", "Known are request_timeout and rate_limit_share."),
    ],
)
def test_an_extra_that_is_not_known_is_remarked_upon(name: str, ask: str) -> None:
    connection = read({name: 5, "rate_limit_share": 0.5})
    assert connection.rate_limit_share == 0.5
    assert connection.remarks == (
        f"Connection 'my_stream': the extra {name!r} is unknown and has no effect. {ask}",
    )


@pytest.mark.parametrize("schema", ["http", "gateway"])  # "gateway" as in stream://key:secret@host/gateway
def test_a_schema_is_remarked_upon_because_it_has_no_effect(schema: str) -> None:
    assert read(schema=schema).remarks == (
        f"Connection 'my_stream': the schema {schema!r} has no effect: what is needed of it belongs in the "
        "host.",
    )
    assert read(schema="https").remarks == ()


def test_a_connection_without_slips_is_not_remarked_upon() -> None:
    assert read({"request_timeout": 5, "rate_limit_share": None}).remarks == ()


def of_extra(extra: str) -> StreamConnection:
    fields: dict[str, Any] = {
        "conn_id": "my_stream",
        "conn_type": "stream",
        "login": "key",
        "password": "secret",
    }
    return read_connection(Connection(**fields, extra=extra))


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        (
            '{"request_timeout": 5',
            "extra cannot be read: it is not JSON (Expecting ',' delimiter, line 1, column",
        ),
        ("request_timeout=5", "extra cannot be read: it is not JSON (Expecting value, line 1, column 1)"),
        ("{'secret': 1}", "extra cannot be read: it is not JSON (Expecting property name"),
        ("[5]", "extra is not a JSON object"),
        ('"request_timeout"', "extra is not a JSON object"),
    ],
)
def test_an_extra_that_airflow_reads_as_empty_is_refused(extra: str, problem: str) -> None:
    with pytest.raises(StreamConfigurationError) as raised:
        of_extra(extra)
    assert f"Connection 'my_stream': {problem}" in str(raised.value)
    assert "'secret'" not in str(raised.value)


@pytest.mark.parametrize("extra", ["", "  ", "{}"])
def test_an_extra_in_which_nothing_stands_is_none(extra: str) -> None:
    assert of_extra(extra).request_timeout == 30


@pytest.mark.parametrize(
    "host",
    [
        "https://chat.stream-io-api.com/api/v2",
        "chat.stream-io-api.com/anything",
        "https://video.stream-io-api.com/video/",
        "http://127.0.0.1:8765/api/v2/",
    ],
)
def test_a_path_that_is_certainly_wrong_is_refused(host: str) -> None:
    with pytest.raises(StreamConfigurationError, match=r"has a path, '/\w+.*': leave it out"):
        read(host=host)


def test_the_path_of_a_gateway_is_allowed_and_suspected_where_something_is_wrong() -> None:
    assert (
        "has the path '/stream': leave it out, unless"
        in read(host="https://gateway.example/stream/").path_hint
    )
    assert read().path_hint == ""


# -- connections that Airflow cannot read ------------------------------------------------------------------


@pytest.mark.parametrize("value", ["garbage-that-is-secret", '["garbage"]'])
def test_what_airflow_reads_as_nothing_is_reported(value: str) -> None:
    connection = Connection.from_uri(value, conn_id="my_stream")
    with pytest.raises(StreamConfigurationError, match="Airflow read nothing from it") as raised:
        read_connection(connection)
    assert "garbage" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('{"password": "s3cret"', ": it is not JSON (Expecting ',' delimiter, line 1, column 22)"),
        ("{'password': 's3cret'}", ": it is not JSON (Expecting property name enclosed in double quotes"),
        ('{"pasword": "s3cret"}', ": it is JSON, but not with the fields of a connection"),
        # Airflow 3.1 hands out no connection whose extra is no JSON.
        ('{"extra": "{s3cret"}', ": its extra cannot be read: it is not JSON (Expecting property name"),
        ("stream://key:s3cret@host:port", ""),
    ],
)
def test_a_variable_that_airflow_cannot_read_is_not_called_missing(
    monkeypatch: pytest.MonkeyPatch, value: str, problem: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MY_STREAM", value)
    told = str(missing_connection("my_stream"))
    assert "cannot read the connection 'my_stream' in the environment variable AIRFLOW_CONN_MY_STREAM" in told
    assert problem in told
    assert "It must be JSON, or a URI, as Airflow writes them." in told
    assert "s3cret" not in told


async def test_a_trigger_that_finds_no_connection_of_its_team_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    with pytest.raises(StreamConfigurationError, match="finds only connections that belong to no team"):
        await StreamHook("of_a_team").aget_conn()
    with pytest.raises(StreamConfigurationError) as caught:
        StreamHook("of_a_team").get_conn()
    assert "team:" not in str(caught.value)


def test_a_connection_that_is_not_there_may_be_one_that_airflow_cannot_read() -> None:
    told = str(missing_connection("forgotten"))
    assert told.startswith("Airflow has no connection 'forgotten' that it can read. Create it")
    assert "in a form that Airflow cannot read counts as missing" in told
