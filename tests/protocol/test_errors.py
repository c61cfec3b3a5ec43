from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import strategies as st

from airflow_provider_streamtasks.exceptions import (
    StreamApiException,
    StreamConfigurationError,
    StreamException,
    StreamRateLimitException,
    StreamTaskException,
    StreamTransportException,
)
from airflow_provider_streamtasks.protocol import errors
from airflow_provider_streamtasks.protocol.errors import asked_pause, read_body
from airflow_provider_streamtasks.protocol.wire import MAX_BODY, Response
from tests import json_values
from tests.fuzzing import fuzz

NOW = 1_800_000_000.0
DATE = "Fri, 15 Jan 2027 08:00:00 GMT"
ENVELOPE = {
    "code": 4,
    "message": 'DeleteChannels failed with error: "cids is required"',
    "StatusCode": 400,
    "duration": "0.00ms",
    "more_info": "https://getstream.io/chat/docs/api_errors_response",
    "details": [17],
    "exception_fields": {"cids": "is required"},
    "unrecoverable": True,
}


def error_of(status: int, body: Any = b"", **headers: str) -> StreamApiException:
    """Return what is raised for an answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)
    with pytest.raises(StreamApiException) as raised:
        read_body("GetTask", response, NOW)
    return raised.value


@pytest.mark.parametrize("status", [200, 201, 299])
def test_a_json_object_with_a_2xx_is_the_body(status: int) -> None:
    assert read_body("GetTask", Response(status, {}, b'{"status": "running"}'), NOW) == {"status": "running"}


def test_every_field_of_streams_envelope_is_kept() -> None:
    error = error_of(400, ENVELOPE)
    assert error.fields() == {
        "message": ENVELOPE["message"],
        "hint": "",
        "status_code": 400,
        "code": 4,
        "exception_fields": {"cids": "is required"},
        "unrecoverable": True,
        "more_info": ENVELOPE["more_info"],
        "details": [17],
        "raw_response_body": json.dumps(ENVELOPE),
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "GetTask: the answer is not Stream's JSON"),
        ({"message": ""}, "GetTask: the answer is not Stream's JSON"),
        ({"message": 5}, "GetTask: the answer is not Stream's JSON"),
        ({"message": "Internal Server Error"}, "Internal Server Error"),
        ([], "GetTask: the answer is not Stream's JSON"),
        (None, "GetTask: the answer is not Stream's JSON"),
        ("text", "GetTask: the answer is not Stream's JSON"),
        (b"", "GetTask: the answer is not Stream's JSON"),
        (b"upstream connect error", "'upstream connect error'"),
        (b"\xff\xfe\x00", "GetTask: the answer is not Stream's JSON"),
        (b'{"message": "cut o', "GetTask: the answer is not Stream's JSON"),
    ],
)
@pytest.mark.parametrize("status", [400, 500])
def test_an_error_without_streams_fields_is_still_described(body: Any, message: str, status: int) -> None:
    error = error_of(status, body)
    assert message in error.message
    assert (error.status_code, error.code, error.exception_fields) == (status, 0, {})
    assert (error.unrecoverable, error.more_info, error.details) == (False, "", [])


@pytest.mark.parametrize("field", sorted(ENVELOPE))
@pytest.mark.parametrize("value", [None, "text", 5, True, [], {}, [{}], {"a": [1]}])
def test_a_field_of_the_wrong_type_does_not_hide_the_error(field: str, value: Any) -> None:
    error = error_of(400, {**ENVELOPE, field: value})
    assert isinstance(error.code, int)
    assert isinstance(error.message, str)
    assert all(isinstance(text, str) for text in error.exception_fields.values())
    assert isinstance(error.unrecoverable, bool)
    assert isinstance(error.more_info, str)
    assert isinstance(error.details, list)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'"text"', b"17", b"<html></html>", b'{"status": "runn', b"\xff"]
)
def test_a_2xx_that_is_no_json_object_is_an_error(body: bytes) -> None:
    error = error_of(200, body)
    assert error.status_code == 200
    assert "not Stream's JSON" in str(error)


def test_the_content_type_of_what_is_not_streams_is_named() -> None:
    assert "(text/html): '<html>" in str(error_of(200, b"<html></html>", content_type="text/html"))


def test_a_body_beyond_the_cap_is_refused() -> None:
    assert "longer than 8 MiB" in str(error_of(200, b'{"a": "' + b"x" * MAX_BODY + b'"}'))


def test_a_body_of_exactly_the_cap_is_read() -> None:
    body = b'{"a": 1}'.ljust(MAX_BODY)
    assert read_body("GetTask", Response(200, {}, body), NOW) == {"a": 1}


@pytest.mark.parametrize("levels", [65, 1000, 200_000])
def test_a_body_that_nests_too_deep_is_refused(levels: int) -> None:
    assert "not Stream's JSON" in str(error_of(200, b'{"a": ' + b"[" * levels + b"]" * levels + b"}"))


def test_a_body_that_nests_as_deep_as_any_of_streams_is_read() -> None:
    body = b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}"
    assert "a" in read_body("GetTask", Response(200, {}, body), NOW)


def test_only_the_beginning_of_a_long_error_is_kept() -> None:
    assert len(error_of(500, b"x" * 100_000).raw_response_body) == 2000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_points_at_the_base_url(status: int) -> None:
    error = error_of(status, b"", location="https://elsewhere.example")
    assert "a redirect" in str(error)
    assert "Check the base URL" in str(error)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (2, "Check the API key"),
        (5, "Check the API secret"),
        (43, "Check the API secret"),
        (40, "clock skew"),
        (41, "clock skew"),
        (42, "clock skew"),
        (17, "does not allow this call"),
        (99, "suspended"),
    ],
)
def test_codes_with_a_remedy_name_it(code: int, hint: str) -> None:
    error = error_of(401, {"code": code, "message": "no."})
    assert hint in error.hint
    assert str(error) == f"Stream answered 401, code {code}: no. {error.hint}"


@pytest.mark.parametrize("code", [0, -1, 4, 16, True, "43", None])
def test_other_codes_give_no_hint(code: Any) -> None:
    assert error_of(401, {"code": code, "message": "no."}).hint == ""


# -- 429 ---------------------------------------------------------------------------------------------------

RESET_IN_20_S = {
    "x_ratelimit_limit": "60",
    "x_ratelimit_remaining": "0",
    "x_ratelimit_reset": str(int(NOW) + 20),
}


@pytest.mark.parametrize(
    ("headers", "retry_after"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "7", **RESET_IN_20_S}, 7),
        ({"retry_after": "0"}, 0),
        ({"retry_after": "Fri, 15 Jan 2027 08:00:40 GMT", "date": DATE}, 40),
        ({"retry_after": "soon", **RESET_IN_20_S}, 20),
        (RESET_IN_20_S, 20),
        ({**RESET_IN_20_S, "date": "Fri, 15 Jan 2027 07:59:50 GMT"}, 30),
        ({**RESET_IN_20_S, "x_ratelimit_reset": str(int(NOW) + 86_400)}, 60),
        ({**RESET_IN_20_S, "x_ratelimit_reset": "0"}, 0),
        ({}, 30),
    ],
)
def test_a_429_says_when_to_come_back(headers: dict[str, str], retry_after: float) -> None:
    error = error_of(429, {"code": 9, "message": "Too many requests"}, **headers)
    assert isinstance(error, StreamRateLimitException)
    assert error.retry_after == retry_after


@pytest.mark.parametrize("status", [400, 503])
def test_only_a_429_is_a_rate_limit(status: int) -> None:
    assert not isinstance(error_of(status, {"code": 9}, retry_after="7"), StreamRateLimitException)


@pytest.mark.parametrize(("retry_after", "pause"), [(None, None), (0, 0), (20, 20), (10**10, 900)])
def test_the_pause_that_stream_asks_for_is_capped(retry_after: float | None, pause: float | None) -> None:
    assert (
        asked_pause(StreamRateLimitException("slow down", status_code=429, retry_after=retry_after)) == pause
    )


# -- what an error allows ----------------------------------------------------------------------------------


def api(status: int, **fields: Any) -> StreamApiException:
    return StreamApiException("no", status_code=status, **fields)


LIMITED = StreamRateLimitException("no", status_code=429)
FINAL_LIMIT = StreamRateLimitException("no", status_code=429, unrecoverable=True)
SENT = StreamTransportException("no", request_sent=True)
NOT_SENT = StreamTransportException("no", request_sent=False)


@pytest.mark.parametrize(
    ("error", "passing", "not_taken", "ambiguous"),
    [
        pytest.param(LIMITED, True, True, False, id="429"),
        pytest.param(FINAL_LIMIT, False, False, False, id="429-unrecoverable"),
        pytest.param(SENT, True, False, True, id="no-answer"),
        pytest.param(NOT_SENT, True, True, False, id="no-connection"),
        pytest.param(api(200), True, False, True, id="200-broken"),
        pytest.param(api(201), True, False, True, id="201-broken"),
        pytest.param(api(302), False, False, False, id="302"),
        pytest.param(api(400), False, False, False, id="400"),
        pytest.param(api(401), False, False, False, id="401"),
        pytest.param(api(403), False, False, False, id="403"),
        pytest.param(api(404), False, False, False, id="404"),
        pytest.param(api(408), True, False, True, id="408"),
        pytest.param(api(413), False, False, False, id="413"),
        pytest.param(api(500), True, False, True, id="500"),
        pytest.param(api(503), True, False, True, id="503"),
        pytest.param(api(500, unrecoverable=True), False, False, True, id="500-unrecoverable"),
        pytest.param(StreamConfigurationError("no"), False, False, False, id="configuration"),
        pytest.param(StreamTaskException("no", task_id="a"), False, False, False, id="task-failed"),
    ],
)
def test_what_may_be_tried_again(
    error: StreamException, passing: bool, not_taken: bool, ambiguous: bool
) -> None:
    assert errors.is_passing(error) is passing
    assert errors.is_not_taken(error) is not_taken
    assert errors.is_ambiguous(error) is ambiguous


@pytest.mark.parametrize("status", range(200, 600))
def test_nothing_is_both_not_taken_and_ambiguous(status: int) -> None:
    error = api(status)
    assert not (errors.is_not_taken(error) and errors.is_ambiguous(error))


# -- whatever comes ----------------------------------------------------------------------------------------


@fuzz(
    status=json_values.statuses,
    headers=json_values.headers,
    body=json_values.bodies,
    now=st.floats(0, 1e11),
)
def test_whatever_comes_is_a_body_or_an_exception_that_survives_pickling(
    status: int, headers: dict[str, str], body: bytes, now: float
) -> None:
    response = Response(status, headers, body)
    try:
        value: object = read_body("GetTask", response, now)
    except StreamException as error:
        value = error
    if isinstance(value, StreamException):
        assert str(pickle.loads(pickle.dumps(value))) == str(value)
        assert 0 <= (asked_pause(value) or 0) <= errors.MAX_PAUSE
    else:
        assert value == response.json()
