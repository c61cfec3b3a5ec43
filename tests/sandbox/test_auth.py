from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.sandbox.raw_client import RawClient

PATH = "/api/v2/rate_limits"


def refusal(raw: RawClient, **request: Any) -> tuple[int, int, str]:
    reply = raw.send("GET", PATH, **request)
    return reply.status, reply.json["code"], reply.json["message"]


@pytest.mark.parametrize("claims", [{}, {"server": True}, {"server": True, "scope": "admins", "sub": "x"}])
def test_a_server_token_needs_neither_times_nor_claims(raw: RawClient, claims: dict[str, Any]) -> None:
    assert raw.send("GET", PATH, headers=raw.credentials(claims)).status == 200


@pytest.mark.parametrize(
    ("query", "reason"),
    [({}, "api_key or app_id not provided"), ({"api_key": "another"}, "api_key not valid")],
)
def test_the_key_is_checked_before_everything_else(
    raw: RawClient, query: dict[str, str], reason: str
) -> None:
    expected = (401, 2, f'GetRateLimits failed with error: "{reason}"')
    assert refusal(raw, query=query, headers={}) == expected


@pytest.mark.parametrize("kind", [None, "anonymous"])
def test_the_authentication_type_is_checked_before_the_token(raw: RawClient, kind: str | None) -> None:
    headers = {} if kind is None else {"stream-auth-type": kind}
    status, code, message = refusal(raw, headers=headers)
    assert (status, code) == (401, 5)
    assert "stream-auth-type missing or invalid" in message


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        ("", "token not provided"),
        ("Bearer x.y.z", "should not contain 'bearer '"),
        ("nonsense", "JWTAuth error"),
    ],
)
def test_a_token_that_is_none(raw: RawClient, authorization: str, reason: str) -> None:
    headers = {"stream-auth-type": "jwt", "Authorization": authorization}
    status, code, message = refusal(raw, headers=headers)
    assert (status, code) == (401, 5)
    assert reason in message


def test_a_token_signed_with_another_secret(raw: RawClient) -> None:
    headers = raw.credentials(secret="another secret, also of more than 32 bytes")
    status, code, message = refusal(raw, headers=headers)
    assert (status, code) == (401, 43)
    assert f'the secret for API key "{raw.sandbox.api_key}"' in message


@pytest.mark.parametrize(
    ("claim", "offset", "code"), [("exp", -60, 40), ("nbf", 60, 41), ("iat", 60, 42), ("exp", None, 5)]
)
def test_the_times_of_a_token(raw: RawClient, claim: str, offset: int | None, code: int) -> None:
    moment = "soon" if offset is None else int(time.time()) + offset
    status, found, _ = refusal(raw, headers=raw.credentials({claim: moment}))
    assert (status, found) == (401, code)


def test_times_that_hold(raw: RawClient) -> None:
    now = int(time.time())
    headers = raw.credentials({"iat": now - 5, "nbf": now - 5, "exp": now + 60})
    assert raw.send("GET", PATH, headers=headers).status == 200


def test_a_user_may_not_do_what_servers_do(raw: RawClient) -> None:
    status, code, _ = refusal(raw, headers=raw.credentials({"user_id": "alice"}))
    assert (status, code) == (403, 17)


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({}, "absent"),
        ({"Authorization": "nonsense"}, "invalid"),
    ],
)
def test_the_journal_says_whether_the_token_held(
    raw: RawClient, headers: Mapping[str, str], verdict: str
) -> None:
    raw.send("GET", PATH, headers=dict(headers))
    raw.send("GET", PATH)
    first, second = raw.sandbox.control.journal()
    assert (first["authorization"], second["authorization"]) == (verdict, "valid")
