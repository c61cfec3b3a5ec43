from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.tasks import StreamTask
from airflow_provider_streamtasks.protocol.wait import Wait
from airflow_provider_streamtasks.triggers import poller
from airflow_provider_streamtasks.triggers.task import write
from tests.wait_terms import wait_terms

WaitFor = Callable[..., list[StreamTask]]


def over_requests(hook: StreamHook, *task_ids: str, timeout: float = 10.0) -> list[StreamTask]:
    return hook.wait_for_tasks(task_ids, poll_interval=0.05, timeout=timeout)


def over_aiohttp(hook: StreamHook, *task_ids: str, timeout: float = 10.0) -> list[StreamTask]:
    wait = Wait(task_ids, wait_terms(timeout, poll_interval=0.05), time.time())
    asyncio.run(poller.wait_for(hook.stream_conn_id, wait, write))
    return wait.result()


@pytest.fixture(params=[over_requests, over_aiohttp], ids=["requests", "aiohttp"])
def wait_for(request: pytest.FixtureRequest) -> WaitFor:
    """Waits for Stream tasks, once over requests, once over aiohttp: both must do the same."""
    waiter: WaitFor = request.param
    return waiter


@pytest.fixture
def hook() -> Iterator[StreamHook]:
    hook = StreamHook()
    yield hook
    hook.close()
