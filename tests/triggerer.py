"""What Airflow's triggerer does around a trigger, as far as tests without an Airflow need it."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

import pytest
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time import xcom as where_xcoms_go


class XComs(BaseXCom):
    """An XCom backend that keeps them in memory."""

    kept: ClassVar[dict[str, Any]] = {}

    @classmethod
    def set(cls, key: str, value: Any, **where: Any) -> None:
        cls.kept[key] = json.loads(json.dumps(value))

    @classmethod
    def delete(cls, key: str, *where: Any, **more: Any) -> None:
        cls.kept.pop(key, None)


class Triggerer:
    """
    Runs triggers as they run in a triggerer, and not as ``dag.test()`` runs them.

    :ivar xcoms: what they push
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.xcoms: dict[str, Any] = {}
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("AIRFLOW__CORE__XCOM_BACKEND", f"{__name__}.XComs")
        monkeypatch.setattr(where_xcoms_go, "XCom", where_xcoms_go.resolve_xcom_backend())
        monkeypatch.setattr(XComs, "kept", self.xcoms)
        # The worker that deferred is gone at once.
        monkeypatch.setenv("AIRFLOW__STREAMTASKS__SCHEDULER_LAG", "0")
        monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")

    def fire(self, trigger: Any, ti: Any) -> Any:
        """Run a trigger, and return its event."""
        trigger.trigger_id, trigger.task_instance = 1, ti

        async def first() -> Any:
            return await anext(aiter(trigger.run()))

        return asyncio.run(first())


@pytest.fixture
def triggerer(monkeypatch: pytest.MonkeyPatch) -> Triggerer:
    """A triggerer whose XComs stay in memory."""
    return Triggerer(monkeypatch)
