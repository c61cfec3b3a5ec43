from __future__ import annotations

import pytest

from airflow_provider_streamtasks.sandbox import SandboxControl, running_sandbox
from tests.sandbox.raw_client import RawClient


def test_the_tasks_with_their_status(raw: RawClient) -> None:
    control = raw.sandbox.control
    control.fate(pending=60)
    first = raw.delete_channels("messaging:a").json["task_id"]
    second = raw.delete_channels("messaging:b").json["task_id"]
    control.fate(stream_task_id=first)
    shown = [(each["stream_task_id"], each["status"], each["finished"]) for each in control.tasks()]
    assert shown == [(first, "completed", True), (second, "pending", False)]
    assert control.tasks()[1]["operation"] == "DeleteChannels"
    assert control.tasks()[1]["items"] == ["messaging:b"]


def test_a_reset_forgets_everything(raw: RawClient) -> None:
    control = raw.sandbox.control
    control.fate(end="failed", pending=0, running=0)
    control.budget("DeleteChannels", limit=1)
    raw.delete_channels()
    control.fault("unavailable")
    control.reset()
    assert control.tasks() == []
    assert control.journal() == []
    reply = raw.delete_channels()
    assert (reply.status, reply.headers["x-ratelimit-limit"]) == (201, "60")
    assert raw.get_task(reply.json["task_id"]).json["status"] == "pending"
    assert [entry["number"] for entry in control.journal()] == [1, 2]


def test_fates_and_budgets_can_be_cleared_alone(raw: RawClient) -> None:
    control = raw.sandbox.control
    control.fate(end="failed", pending=0, running=0)
    control.budget("DeleteChannels", limit=1)
    failed = raw.delete_channels().json["task_id"]
    control.clear_fates()
    control.clear_budgets()
    later = raw.delete_channels().json["task_id"]
    assert raw.get_task(failed).json["status"] == "failed"
    assert raw.get_task(later).json["status"] in ("pending", "running", "completed")


def test_the_control_requests_are_no_part_of_the_journal(raw: RawClient) -> None:
    raw.sandbox.control.tasks()
    assert raw.sandbox.control.journal() == []


def test_several_rules_can_be_posted_at_once(raw: RawClient) -> None:
    rules = [{"kind": "unavailable"}, {"kind": "delay", "operation": "GetTask", "seconds": 0}]
    assert raw.send("POST", "/sandbox/faults", rules, query={}, headers={}).status == 201
    assert raw.get_task("x").status == 404
    assert raw.delete_channels().status == 503


@pytest.mark.parametrize("body", [b"{", b"7"])
def test_what_is_no_rule_is_refused(raw: RawClient, body: bytes) -> None:
    reply = raw.send("POST", "/sandbox/fates", body, query={}, headers={})
    assert reply.status == 400
    assert reply.json["error"]


def test_a_journal_number_must_be_one(raw: RawClient) -> None:
    assert raw.send("GET", "/sandbox/journal?after=x", query={}, headers={}).status == 400


def test_proxies_of_the_environment_are_for_others(raw: RawClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert SandboxControl(raw.sandbox.url + "/").journal() == []


def test_sandboxes_do_not_know_each_other() -> None:
    with running_sandbox() as first, running_sandbox() as second:
        RawClient(first).delete_channels()
        assert len(first.control.tasks()) == 1
        assert second.control.tasks() == []


def test_the_port_is_free_again_afterwards() -> None:
    with running_sandbox() as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
    with running_sandbox(port=port) as again:
        assert again.url == sandbox.url


def test_a_port_that_is_taken() -> None:
    with running_sandbox() as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(OSError, match="address already in use"), running_sandbox(port=port):
            pass
