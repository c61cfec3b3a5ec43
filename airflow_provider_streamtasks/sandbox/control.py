"""The client by which tests and rehearsals steer a running sandbox."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


class SandboxControl:
    """Steers a sandbox, in this process or another.

    .. code-block:: python

        control = SandboxControl("http://127.0.0.1:8765")
        control.fault("unavailable", operation="GetTask", lasts=30)
        control.fate(operation="DeleteChannels", item="messaging:broken-*", end="failed")

    :param url: where the sandbox listens; it prints it when it is ready.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # The environment's proxies are for the world outside.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def fate(self, **rule: Any) -> None:
        """Decide what becomes of the submissions that follow, or of one Stream task that exists.

        :param rule: the keys of a fate, such as ``operation``, ``item``, ``running`` (seconds) and
            ``end``; ``stream_task_id`` names an existing task, which by default ends at once.
        :raises ValueError: the sandbox refuses the rule; the message says why.
        """
        self._call("POST", "/sandbox/fates", rule)

    def fault(self, kind: str, **rule: Any) -> None:
        """Let requests fail.

        :param kind: ``rate_limit``, ``api_error``, ``unavailable``, ``redirect``, ``reset_before``,
            ``reset_after``, ``delay``, ``slow_body``, ``broken_json``, ``truncated``, ``empty_body``,
            ``wrong_content_type``, ``huge_body``, ``cut``, ``corrupted`` or ``expired``.
        :param rule: the other keys of a fault, such as ``operation``, ``times`` and ``probability``.
            ``lasts`` (seconds) stands for ``for``, which Python reserves.
        :raises ValueError: the sandbox refuses the rule; the message says why.
        """
        if "lasts" in rule:
            rule["for"] = rule.pop("lasts")
        self._call("POST", "/sandbox/faults", {"kind": kind, **rule})

    def budget(self, operation: str = "*", **rule: Any) -> None:
        """Set how many requests an endpoint takes.

        :param operation: the endpoint; ``*`` for all.
        :param rule: ``limit`` (requests per window, ``None`` for no limit), ``window`` (seconds).
        :raises ValueError: the sandbox refuses the rule; the message says why.
        """
        self._call("POST", "/sandbox/budgets", {"operation": operation, **rule})

    def populate(self, channels: int = 0, users: int = 0, seed: int = 0) -> None:
        """Add channels and users that look like an app of three years.

        About a third of them were not used for a year, and every tenth never. The same seed gives the same
        ids and ages. A hundred thousand take about a second.

        :param channels: how many channels.
        :param users: how many users; if there are any, each channel has two of them as members.
        :raises ValueError: the sandbox refuses the numbers; the message says why.
        """
        self._call("POST", "/sandbox/population", {"channels": channels, "users": users, "seed": seed})

    def add_channel(self, cid: str, **about: Any) -> None:
        """Add a channel, or replace the one with its cid.

        :param about: ``created_at`` and ``last_message_at`` (Unix seconds), ``members`` (user ids),
            ``member_count``, ``frozen``, ``disabled``, ``team``, ``custom``.
        :raises ValueError: the sandbox refuses the rule; the message says why.
        """
        self._call("POST", "/sandbox/channels", {"cid": cid, **about})

    def add_user(self, user_id: str, **about: Any) -> None:
        """Add a user, or replace the one with its id.

        :param about: ``name``, ``role``, ``created_at`` and ``last_active`` (Unix seconds), ``banned``,
            ``teams``, ``custom``.
        :raises ValueError: the sandbox refuses the rule; the message says why.
        """
        self._call("POST", "/sandbox/users", {"id": user_id, **about})

    def journal(self, operation: str | None = None, after: int = 0) -> list[dict[str, Any]]:
        """The requests that the sandbox received, oldest first.

        :param operation: only those of this endpoint.
        :param after: only those with a greater ``number``.
        """
        query = {"after": str(after), **({"operation": operation} if operation else {})}
        answer = self._call("GET", f"/sandbox/journal?{urllib.parse.urlencode(query)}")
        entries: list[dict[str, Any]] = answer["journal"]
        return entries

    def tasks(self) -> list[dict[str, Any]]:
        """All Stream tasks with their current status, oldest first."""
        tasks: list[dict[str, Any]] = self._call("GET", "/sandbox/tasks")["tasks"]
        return tasks

    def messages(self, channel: str) -> list[dict[str, Any]]:
        """The messages in a channel, oldest first: ``id``, ``text``, ``user_id``.

        :param channel: its cid.
        """
        query = urllib.parse.urlencode({"channel": channel})
        messages: list[dict[str, Any]] = self._call("GET", f"/sandbox/messages?{query}")["messages"]
        return messages

    def clear_fates(self) -> None:
        """Forget the fates; Stream tasks that exist keep theirs."""
        self._call("DELETE", "/sandbox/fates")

    def clear_faults(self) -> None:
        """End the outage: no fault strikes any more."""
        self._call("DELETE", "/sandbox/faults")

    def clear_budgets(self) -> None:
        """Return to the default budgets, with nothing used."""
        self._call("DELETE", "/sandbox/budgets")

    def reset(self) -> None:
        """Forget everything: Stream tasks, files, rules, journal, channels, users, messages."""
        self._call("DELETE", "/sandbox")

    def _call(self, method: str, path: str, rule: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the user names the sandbox
            self.url + path, method=method, data=None if rule is None else json.dumps(rule).encode()
        )
        request.add_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]) from None
