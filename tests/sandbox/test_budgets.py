from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_streamtasks.sandbox.budgets import Budget, Budgets
from tests.sandbox.raw_client import RawClient

NOON = 1_800_000_000.0


class TestBudget:
    def test_the_window_is_a_minute_of_the_clock(self) -> None:
        budget = Budget(limit=2, window=60)
        assert [budget.spend(NOON + second) for second in (50, 59, 59.9, 60, 61, 62)] == [
            True,
            True,
            False,
            True,
            True,
            False,
        ]

    def test_rejected_requests_count(self) -> None:
        budget = Budget(limit=1, window=60)
        for _ in range(5):
            budget.spend(NOON)
        assert budget.used == 5
        assert budget.standing(NOON) == {"limit": 1, "remaining": 0, "reset": int(NOON) + 60}

    def test_a_new_window_starts_with_nothing_used(self) -> None:
        budget = Budget(limit=3, window=60)
        budget.spend(NOON)
        assert budget.standing(NOON + 61) == {"limit": 3, "remaining": 3, "reset": int(NOON) + 120}

    def test_a_short_window_is_reported_in_whole_seconds(self) -> None:
        assert Budget(limit=1, window=0.5).reset(NOON + 0.1) == int(NOON) + 1

    def test_without_a_limit_there_are_no_headers(self) -> None:
        budget = Budget(limit=None, window=60)
        assert all(budget.spend(NOON) for _ in range(10_000))
        assert budget.headers(NOON) == {}


class TestRules:
    def test_the_defaults(self) -> None:
        budgets = Budgets(lambda: NOON)
        limits = {name: budgets.of(name).limit for name in ("GetTask", "DeleteUsers", "ExportUsers")}
        assert limits == {"GetTask": 1000, "DeleteUsers": 6, "ExportUsers": 60}

    def test_a_rule_for_one_endpoint_leaves_the_others_alone(self) -> None:
        budgets = Budgets(lambda: NOON)
        budgets.of("ExportUsers").spend(NOON)
        budgets.add({"operation": "GetTask", "limit": 5, "window": 2})
        assert (budgets.of("GetTask").limit, budgets.of("GetTask").window) == (5, 2)
        assert (budgets.of("ExportUsers").window, budgets.of("ExportUsers").used) == (60, 1)

    def test_a_rule_for_all_can_scale_the_minute_only(self) -> None:
        budgets = Budgets(lambda: NOON)
        budgets.add({"window": 2})
        assert (budgets.of("DeleteUsers").limit, budgets.of("DeleteUsers").window) == (6, 2)

    def test_a_rule_gives_back_what_was_used(self) -> None:
        budgets = Budgets(lambda: NOON)
        budgets.of("DeleteUsers").spend(NOON)
        budgets.add({"operation": "DeleteUsers"})
        assert budgets.of("DeleteUsers").used == 0

    def test_a_reset_returns_to_the_defaults(self) -> None:
        budgets = Budgets(lambda: NOON)
        budgets.add({"operation": "*", "limit": None})
        assert budgets.of("GetTask").limit is None
        budgets.reset()
        assert budgets.of("GetTask").limit == 1000


class TestOnTheWire:
    def test_every_answer_of_a_limited_endpoint_reports_the_budget(self, raw: RawClient) -> None:
        reply = raw.delete_channels()
        assert reply.headers["x-ratelimit-limit"] == "60"
        assert reply.headers["x-ratelimit-remaining"] == "59"
        refused = raw.send("POST", "/api/v2/chat/channels/delete", {})
        assert refused.status == 400
        assert refused.headers["x-ratelimit-remaining"] == "58"

    def test_an_endpoint_without_a_limit_says_nothing(self, raw: RawClient) -> None:
        raw.sandbox.control.budget("GetTask", limit=None)
        headers = raw.get_task("x").headers
        assert not [name for name in headers if name.startswith("x-ratelimit")]

    def test_a_spent_budget_refuses_before_the_body_is_looked_at(self, raw: RawClient) -> None:
        raw.sandbox.control.budget("DeleteChannels", limit=0)
        reply = raw.send("POST", "/api/v2/chat/channels/delete", b"nonsense")
        assert (reply.status, reply.json["code"]) == (429, 9)
        assert "Too many requests, check response headers" in reply.json["message"]
        assert reply.headers["x-ratelimit-remaining"] == "0"
        assert "retry-after" not in reply.headers

    def test_endpoints_have_budgets_of_their_own(self, raw: RawClient) -> None:
        raw.sandbox.control.budget("DeleteUsers", limit=0)
        assert raw.send("POST", "/api/v2/users/delete", {"user_ids": ["a"]}).status == 429
        assert raw.send("POST", "/api/v2/users/deactivate", {"user_ids": ["a"]}).status == 201

    def test_a_window_passes(self, raw: RawClient) -> None:
        raw.sandbox.control.budget("GetTask", limit=1, window=0.2)
        statuses: list[int] = []
        while statuses[-3:] != [404, 429, 404]:
            status = raw.get_task("x").status
            statuses += [status] if status not in statuses[-1:] else []
        assert set(statuses) == {404, 429}

    def test_a_wrong_token_costs_nothing(self, raw: RawClient) -> None:
        raw.send("GET", "/api/v2/tasks/x", headers={})
        limits = raw.send("GET", "/api/v2/rate_limits?server_side=true&endpoints=GetTask").json
        assert limits["server_side"]["GetTask"]["remaining"] == 1000

    def test_without_a_choice_all_platforms_and_endpoints_are_shown(self, raw: RawClient) -> None:
        raw.delete_channels()
        limits = raw.send("GET", "/api/v2/rate_limits").json
        assert limits.keys() == {"server_side", "android", "ios", "web", "unity", "duration"}
        assert limits["server_side"]["DeleteChannels"]["remaining"] == 59
        assert limits["web"]["DeleteChannels"]["remaining"] == 60
        assert "ExportUsers" in limits["server_side"]
        assert limits["server_side"]["GetRateLimits"]["remaining"] == 999
        assert limits["web"]["GetRateLimits"]["remaining"] == 1000

    @pytest.mark.parametrize(
        ("rule", "reason"),
        [
            ({"limit": -1}, "whole number, 0 or more, or null"),
            ({"window": 0}, "number of seconds above 0"),
            ({"operation": "Nothing"}, "there is no operation 'Nothing' here"),
        ],
    )
    def test_a_rule_that_makes_no_sense_is_refused(
        self, raw: RawClient, rule: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(ValueError, match=reason):
            raw.sandbox.control.budget(**rule)
