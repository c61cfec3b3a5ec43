from __future__ import annotations

import asyncio

import pytest

from airflow_provider_streamtasks.hooks.time_limit import TimeLimit


async def held(limit: TimeLimit, until: asyncio.Event) -> str:
    try:
        with limit:
            await until.wait()
    except asyncio.TimeoutError:
        await asyncio.sleep(0)  # it is no longer cancelled
        return "too long"
    return "done"


async def test_what_takes_too_long_is_ended_and_the_others_are_not() -> None:
    limit, soon, never = TimeLimit(0.2), asyncio.Event(), asyncio.Event()
    slow, quick = asyncio.create_task(held(limit, never)), asyncio.create_task(held(limit, soon))
    await asyncio.sleep(0)
    soon.set()
    assert [await slow, await quick] == ["too long", "done"]


async def test_each_has_the_whole_time() -> None:
    limit, never = TimeLimit(0.4), asyncio.Event()
    first = asyncio.create_task(held(limit, never))
    await asyncio.sleep(0.3)
    loop = asyncio.get_running_loop()
    began = loop.time()
    second = asyncio.create_task(held(limit, never))
    assert [await first, await second] == ["too long", "too long"]
    assert loop.time() - began > 0.39


async def test_the_time_of_one_task_begins_anew_each_time() -> None:
    limit, never = TimeLimit(0.2), asyncio.Event()
    assert [await held(limit, never), await held(limit, never)] == ["too long", "too long"]
    with limit:
        await asyncio.sleep(0)


async def test_a_task_that_somebody_else_cancels_is_cancelled() -> None:
    limit, never = TimeLimit(10.0), asyncio.Event()
    job = asyncio.create_task(held(limit, never))
    await asyncio.sleep(0)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    limit.close()


async def test_another_error_passes() -> None:
    limit = TimeLimit(10.0)
    with pytest.raises(KeyError), limit:
        raise KeyError
    limit.close()
