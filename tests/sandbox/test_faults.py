from __future__ import annotations

import http.client
import itertools
import json
import socket
import threading
import time
from typing import Any

import pytest

from airflow_provider_streamtasks.sandbox import running_sandbox
from airflow_provider_streamtasks.sandbox.faults import Faults
from airflow_provider_streamtasks.sandbox.rules import BadRule
from tests.sandbox.raw_client import RawClient

PATH = "/api/v2/rate_limits"


def submissions(raw: RawClient) -> int:
    return len(raw.sandbox.control.tasks())


class TestRefusingFaults:
    def test_rate_limit(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("rate_limit")
        reply = raw.delete_channels()
        assert (reply.status, reply.json["code"]) == (429, 9)
        assert reply.headers["x-ratelimit-limit"] == "60"
        assert reply.headers["x-ratelimit-remaining"] == "0"
        assert int(reply.headers["x-ratelimit-reset"]) > time.time()
        assert "retry-after" not in reply.headers
        assert submissions(raw) == 0

    def test_rate_limit_with_retry_after(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("rate_limit", retry_after=3)
        assert raw.delete_channels().headers["retry-after"] == "3"

    def test_api_error(self, raw: RawClient) -> None:
        raw.sandbox.control.fault(
            "api_error",
            status=403,
            code=99,
            message="app suspended",
            unrecoverable=True,
            exception_fields={"app": "1"},
        )
        reply = raw.delete_channels()
        assert reply.status == 403
        assert reply.json == {
            "StatusCode": 403,
            "code": 99,
            "message": 'DeleteChannels failed with error: "app suspended"',
            "more_info": "https://getstream.io/chat/docs/api_errors_response",
            "details": [],
            "duration": "0.00ms",
            "unrecoverable": True,
            "exception_fields": {"app": "1"},
        }
        assert submissions(raw) == 0

    def test_api_error_is_an_internal_one_unless_a_rule_says_otherwise(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("api_error")
        reply = raw.delete_channels()
        assert (reply.status, reply.json["code"]) == (500, -1)

    def test_a_bare_api_error_lacks_the_envelope(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("api_error", status=502, bare=True, message="Bad Gateway")
        reply = raw.delete_channels()
        assert (reply.status, reply.json) == (502, {"message": "Bad Gateway"})

    @pytest.mark.parametrize("status", [503, 504])
    def test_unavailable(self, raw: RawClient, status: int) -> None:
        raw.sandbox.control.fault("unavailable", status=status)
        reply = raw.delete_channels()
        assert reply.status == status
        assert reply.headers["content-type"] == "text/plain"
        assert reply.content.startswith(b"upstream connect error or disconnect/reset before headers")
        assert submissions(raw) == 0

    @pytest.mark.parametrize("kind", ["api_error", "unavailable"])
    def test_the_request_may_be_taken_all_the_same(self, raw: RawClient, kind: str) -> None:
        raw.sandbox.control.fault(kind, taken=True)
        assert raw.delete_channels().status in (500, 503)
        assert submissions(raw) == 1

    def test_redirect(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("redirect", location="http://127.0.0.1:1/stolen", status=307)
        reply = raw.delete_channels()
        assert (reply.status, reply.headers["location"]) == (307, "http://127.0.0.1:1/stolen")
        assert submissions(raw) == 0

    def test_reset_before(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("reset_before")
        with pytest.raises(ConnectionResetError) as caught:
            raw.delete_channels()
        # A connection that was merely closed raises a subclass.
        assert caught.type is ConnectionResetError
        assert submissions(raw) == 0


class TestSpoilingFaults:
    def test_reset_after(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("reset_after")
        with pytest.raises(ConnectionResetError) as caught:
            raw.delete_channels()
        # A connection that was merely closed raises a subclass.
        assert caught.type is ConnectionResetError
        assert submissions(raw) == 1

    def test_delay(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("delay", seconds=0.2)
        started = time.monotonic()
        assert raw.delete_channels().status == 201
        assert time.monotonic() - started >= 0.2

    def test_a_delayed_request_is_taken_though_the_client_gave_up(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("delay", seconds=0.5)
        body = {"cids": ["messaging:a"], "hard_delete": True}
        with pytest.raises(socket.timeout):
            raw.send("POST", "/api/v2/chat/channels/delete", body, timeout=0.05)
        assert submissions(raw) == 0
        while submissions(raw) == 0:
            time.sleep(0.01)

    def test_slow_body(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("slow_body", seconds=0.2)
        started = time.monotonic()
        reply = raw.delete_channels()
        assert time.monotonic() - started >= 0.2
        assert reply.json["task_id"]

    def test_slow_body_drips(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("slow_body", seconds=0.2)
        connection = http.client.HTTPConnection(raw.sandbox.url.removeprefix("http://"))
        connection.request("GET", f"{PATH}?api_key={raw.sandbox.api_key}", headers=raw.credentials())
        response = connection.getresponse()
        pieces = list(iter(lambda: response.read1(100_000), b""))
        connection.close()
        assert len(pieces) > 1
        assert json.loads(b"".join(pieces)).keys() >= {"server_side", "duration"}

    def test_broken_json(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("broken_json")
        reply = raw.delete_channels()
        assert reply.status == 201
        assert reply.headers["content-length"] == str(len(reply.content))
        with pytest.raises(json.JSONDecodeError):
            json.loads(reply.content)
        assert submissions(raw) == 1

    def test_truncated(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("truncated")
        with pytest.raises(http.client.IncompleteRead):
            raw.delete_channels()
        assert submissions(raw) == 1

    def test_empty_body(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("empty_body")
        reply = raw.delete_channels()
        assert (reply.status, reply.content) == (201, b"")

    def test_wrong_content_type(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("wrong_content_type")
        reply = raw.delete_channels()
        assert (reply.status, reply.headers["content-type"]) == (201, "text/html")
        assert reply.content.startswith(b"<!DOCTYPE html>")

    def test_huge_body(self, raw: RawClient) -> None:
        raw.sandbox.control.fault("huge_body", bytes=3_000_000)
        reply = raw.delete_channels()
        assert len(reply.content) == 3_000_000
        assert reply.json["task_id"]


def test_broken_connections_leave_no_noise_behind(caplog: pytest.LogCaptureFixture) -> None:
    with running_sandbox() as sandbox:
        raw = RawClient(sandbox)
        sandbox.control.fault("slow_body", operation="GetTask", seconds=2)
        with pytest.raises(socket.timeout):
            raw.send("GET", "/api/v2/tasks/x", timeout=0.05)
        for kind in ("reset_before", "reset_after"):
            sandbox.control.fault(kind, operation="DeleteChannels")
            with pytest.raises(ConnectionResetError):
                raw.delete_channels()
        sandbox.control.fault("truncated", operation="DeleteUsers")
        with pytest.raises(http.client.IncompleteRead):
            raw.send("POST", "/api/v2/users/delete", {"user_ids": ["a"]})
        assert raw.send("GET", PATH).status == 200
    assert caplog.records == []


def strikes(faults: Faults, *operations: str) -> list[str | None]:
    return [fault.kind if (fault := faults.strike(operation)) else None for operation in operations]


class TestWhichRequests:
    def test_those_of_its_operation(self) -> None:
        faults = Faults(time.time)
        faults.add({"kind": "unavailable", "operation": "GetTask"})
        assert strikes(faults, "GetTask", "DeleteUsers") == ["unavailable", None]

    def test_the_latest_that_strikes_wins(self) -> None:
        faults = Faults(time.time)
        faults.add({"kind": "unavailable"})
        faults.add({"kind": "rate_limit", "operation": "GetTask", "times": 1})
        assert strikes(faults, "GetTask", "GetTask", "DeleteUsers") == [
            "rate_limit",
            "unavailable",
            "unavailable",
        ]

    def test_some_pass_first_and_then_some_are_hit(self) -> None:
        faults = Faults(time.time)
        faults.add({"kind": "delay", "after": 2, "times": 1})
        assert strikes(faults, *["GetTask"] * 4) == [None, None, "delay", None]

    def test_only_while_it_lasts(self) -> None:
        times = itertools.chain([100.0, 129.9], itertools.repeat(130.0))
        faults = Faults(lambda: next(times))
        faults.add({"kind": "unavailable", "for": 30})
        assert strikes(faults, "GetTask", "GetTask") == ["unavailable", None]

    def test_only_from_its_beginning_on(self) -> None:
        times = iter([100.0, 109.9, 110.0, 139.9, 140.0])
        faults = Faults(lambda: next(times))
        faults.add({"kind": "unavailable", "starts_in": 10, "for": 30})
        assert strikes(faults, *["GetTask"] * 4) == [None, "unavailable", "unavailable", None]

    def test_what_other_faults_do_changes_nothing(self) -> None:
        def pattern(*between: str) -> list[str | None]:
            faults = Faults(time.time, 7)
            faults.add({"kind": "unavailable", "operation": "GetTask", "probability": 0.5})
            faults.add({"kind": "delay", "operation": "DeleteUsers", "probability": 0.5})
            return [strikes(faults, *between, "GetTask")[-1] for _ in range(100)]

        assert pattern() == pattern("DeleteUsers", "DeleteUsers")

    def test_a_share_of_them_and_the_same_ones_each_time(self) -> None:
        def pattern(seed: int) -> list[str | None]:
            faults = Faults(time.time, seed)
            faults.add({"kind": "unavailable", "probability": 0.5})
            return strikes(faults, *["GetTask"] * 200)

        assert pattern(1) == pattern(1)
        assert pattern(1) != pattern(2)
        assert 60 < pattern(1).count("unavailable") < 140

    @pytest.mark.parametrize(("probability", "hits"), [(0, 0), (1, 50)])
    def test_none_or_all(self, probability: float, hits: int) -> None:
        faults = Faults(time.time)
        faults.add({"kind": "unavailable", "probability": probability})
        assert strikes(faults, *["GetTask"] * 50).count("unavailable") == hits

    def test_a_reset_ends_them_and_starts_the_random_numbers_anew(self) -> None:
        faults = Faults(time.time, 3)
        patterns = []
        for _ in range(2):
            faults.reset()
            assert strikes(faults, "GetTask") == [None]
            faults.add({"kind": "unavailable", "probability": 0.5})
            patterns.append(strikes(faults, *["GetTask"] * 50))
        assert patterns[0] == patterns[1]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({}, "needs a 'kind', one of: rate_limit, "),
        ({"kind": "fire"}, "not 'fire'"),
        ({"kind": {}}, "not {}"),
        ([], "needs a 'kind'"),
        ({"kind": "delay", "retry_after": 1}, "a delay fault has no key 'retry_after'"),
        ({"kind": "delay", "probability": 1.1}, "must be a number from 0 to 1"),
        ({"kind": "redirect", "status": 99}, "must be an HTTP status"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: Any, reason: str) -> None:
    with pytest.raises(BadRule, match=reason):
        Faults(time.time).add(rule)


def test_an_outage_can_be_ended(raw: RawClient) -> None:
    raw.sandbox.control.fault("unavailable", lasts=600)
    assert raw.send("GET", PATH).status == 503
    raw.sandbox.control.clear_faults()
    assert raw.send("GET", PATH).status == 200


def test_one_slow_request_does_not_hold_up_the_others(raw: RawClient) -> None:
    raw.sandbox.control.fault("delay", operation="DeleteChannels", seconds=0.5)
    order: list[str] = []

    def send_slowly() -> None:
        raw.delete_channels()
        order.append("slow")

    slow = threading.Thread(target=send_slowly)
    slow.start()
    while not raw.sandbox.control.journal("DeleteChannels"):
        time.sleep(0.01)
    raw.send("GET", PATH)
    order.append("quick")
    slow.join()
    assert order == ["quick", "slow"]
