"""The spans of waits, taken in by OpenTelemetry's own exporter. On a real Airflow: ``tests/system``."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from airflow_provider_streamtasks import spans
from airflow_provider_streamtasks.exceptions import StreamTaskException
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.protocol.wait import Wait
from airflow_provider_streamtasks.sandbox import SandboxControl
from airflow_provider_streamtasks.triggers.task import StreamTaskTrigger
from tests.conftest import StartTask

SIGNED = "https://storage.example/export.json?Signature=abcdef"


class Tracing:
    """OpenTelemetry with an exporter that keeps the spans. The provider of a process can be set only once."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("tests")

    @property
    def spans(self) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == spans.SPAN]

    @property
    def only(self) -> ReadableSpan:
        (span,) = self.spans
        return span


@pytest.fixture
def tracing(monkeypatch: pytest.MonkeyPatch) -> Tracing:
    tracing = Tracing()
    monkeypatch.setattr(spans, "tracer", tracing.tracer)
    return tracing


async def wait_for(*task_ids: str, started_at: float | None = None, **terms: Any) -> None:
    trigger = StreamTaskTrigger(
        "stream_default",
        task_ids,
        time.time() if started_at is None else started_at,
        **{"timeout": 10.0, "poll_interval": 0.05, "max_poll_interval": 0.05, **terms},
    )
    async for _ in trigger.run():
        pass


def attribute(span: ReadableSpan, name: str) -> Any:
    assert span.attributes is not None
    return span.attributes[f"streamtasks.{name}"]


async def test_a_wait_is_one_span_below_airflows_own(
    tracing: Tracing, start_task: StartTask, control: SandboxControl
) -> None:
    task_ids = [start_task(end="never"), start_task()]
    with tracing.tracer.start_as_current_span("trigger.wait") as airflows:
        waiting = asyncio.create_task(wait_for(*task_ids, timeout=120.0))
    while len(control.journal("GetTask")) < 4:  # noqa: ASYNC110 - the sandbox has no event for it
        await asyncio.sleep(0.05)
    control.fate(stream_task_id=task_ids[0])
    await waiting
    span = tracing.only
    assert span.parent == airflows.get_span_context()
    assert span.status.status_code is trace.StatusCode.OK
    assert attribute(span, "stream_conn_id") == "stream_default"
    assert attribute(span, "stream_tasks") == 2
    assert attribute(span, "stream_task_ids") == tuple(task_ids)
    assert attribute(span, "polls") == len(control.journal("GetTask"))
    assert attribute(span, "outcome") == "completed"


async def test_a_wait_that_moved_here_has_a_span_from_its_beginning(
    tracing: Tracing, start_task: StartTask
) -> None:
    began = time.time() - 3600
    await wait_for(start_task(), started_at=began, timeout=7200.0)
    assert tracing.only.start_time == round(began * 1e9)


async def test_a_wait_that_moves_away_is_no_span(tracing: Tracing, start_task: StartTask) -> None:
    waiting = asyncio.create_task(wait_for(start_task(end="never")))
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert tracing.spans == []


@pytest.mark.parametrize(
    ("fate", "terms", "outcome", "error"),
    [
        ({"end": "failed"}, {}, "failed", "failed"),
        ({"end": "never"}, {"timeout": 0.1}, "timed_out", "timed_out"),
        (None, {}, "error", "StreamConfigurationError"),
    ],
)
async def test_a_wait_that_went_wrong_is_an_error(
    tracing: Tracing,
    start_task: StartTask,
    monkeypatch: pytest.MonkeyPatch,
    fate: dict[str, Any] | None,
    terms: dict[str, Any],
    outcome: str,
    error: str,
) -> None:
    task_id = start_task(**fate or {})
    if fate is None:
        monkeypatch.setenv("AIRFLOW_CONN_STREAM_DEFAULT", '{"conn_type": "stream"}')
    await wait_for(task_id, **terms)
    span = tracing.only
    assert span.status.status_code is trace.StatusCode.ERROR
    assert attribute(span, "outcome") == outcome
    assert (span.attributes or {})["error.type"] == error


async def test_only_the_first_of_many_stream_tasks_are_named(tracing: Tracing, start_task: StartTask) -> None:
    await wait_for(*[start_task() for _ in range(12)])
    assert attribute(tracing.only, "stream_tasks") == 12
    assert len(attribute(tracing.only, "stream_task_ids")) == spans.NAMED


async def test_what_stream_said_is_in_no_span(tracing: Tracing, start_task: StartTask) -> None:
    await wait_for(
        start_task(result={"url": SIGNED}), start_task(end="failed", error={"description": SIGNED})
    )
    assert "Signature" not in tracing.only.to_json()


def test_a_wait_of_a_worker_is_a_span_too(tracing: Tracing, start_task: StartTask) -> None:
    hook = StreamHook()
    with tracing.tracer.start_as_current_span("worker.wait") as airflows:
        hook.wait_for_task(start_task(running=0.2), poll_interval=0.05)
        with pytest.raises(StreamTaskException):
            hook.wait_for_task(start_task(end="failed"))
    hook.close()
    assert [attribute(span, "outcome") for span in tracing.spans] == ["completed", "failed"]
    assert all(span.parent == airflows.get_span_context() for span in tracing.spans)


def test_nothing_is_done_where_airflow_does_not_trace() -> None:
    nothing_but_the_beginning = cast(Wait, SimpleNamespace(started_at=1.0))
    spans.record(nothing_but_the_beginning, "stream_default")
    with pytest.raises(AttributeError):  # this is what the line above would do otherwise
        _ = nothing_but_the_beginning.task_ids
