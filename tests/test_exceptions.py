from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

import airflow_provider_streamtasks
from airflow_provider_streamtasks import exceptions
from airflow_provider_streamtasks.exceptions import (
    MAY_HAVE_BEEN_TAKEN,
    WAS_SUBMITTED,
    StreamApiException,
    StreamConfigurationError,
    StreamException,
    StreamRateLimitException,
    StreamTaskException,
    StreamTaskTimeout,
    StreamTransportException,
)
from airflow_provider_streamtasks.sensors.task import StreamTaskFailed
from airflow_provider_streamtasks.waiting import StreamVerdict

TASK_FIELDS: dict[str, Any] = {
    "task_id": "a",
    "error_type": "storage",
    "description": "shard 7 is read-only",
    "stack_trace": "at x",
    "version": "v1",
    "task_ids": ["a", "b"],
    "failed_items": {"messaging:a": "gone"},
}
OURS = [
    StreamException("it broke", hint="Mend it."),
    StreamConfigurationError("no secret", hint="Give one."),
    StreamApiException(
        "no",
        status_code=400,
        code=4,
        exception_fields={"cids": "is required"},
        unrecoverable=True,
        more_info="https://getstream.io",
        details=[17],
        raw_response_body="{}",
        hint="Look.",
    ),
    StreamApiException("no", status_code=500),
    StreamRateLimitException("slow down", status_code=429, code=9, retry_after=7.5),
    StreamTransportException("gone", error_type="connection_reset", request_sent=False),
    StreamTransportException("gone", may_be_taken=True, batch="batch 2 of 3", uncertain_batches="1"),
    StreamTaskTimeout("too late", task_ids=["a", "b"]),
    StreamTaskException("it failed", **TASK_FIELDS),
]
VERDICT = StreamTaskFailed("it failed", **TASK_FIELDS)


def public_exceptions() -> Iterator[type[Exception]]:
    for module in walk_packages(airflow_provider_streamtasks.__path__, "airflow_provider_streamtasks."):
        if not module.name.startswith("airflow_provider_streamtasks.sandbox"):
            for each in vars(import_module(module.name)).values():
                is_ours = isinstance(each, type) and each.__module__ == module.name
                if is_ours and issubclass(each, Exception) and each is not StreamVerdict:
                    yield each


def test_every_exception_has_its_place_in_the_tree_and_on_the_page() -> None:
    page = (Path(__file__).parent.parent / "docs" / "outcomes.rst").read_text()
    tree = exceptions.__doc__ or ""
    found = list(public_exceptions())
    assert len(found) == 12
    for each in found:
        star = r" \*" if issubclass(each, AirflowFailException) else " "
        assert re.search(rf"\b{each.__name__}{star} ", tree) or each is StreamException, each
        place = f"{each.__module__}.{each.__name__}"
        assert each.__module__ == exceptions.__name__ or f".. autoexception:: {place}\n" in page, each
    assert f".. automodule:: {exceptions.__name__}\n   :members:" in page


def name(error: StreamException) -> str:
    return type(error).__name__


@pytest.mark.parametrize("error", [*OURS, VERDICT], ids=name)
def test_an_exception_survives_pickling(error: StreamException) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert again.fields() == error.fields()
    assert str(again) == str(error)


@pytest.mark.parametrize("error", [*OURS, VERDICT], ids=name)
def test_an_exception_survives_copying(error: StreamException) -> None:
    assert copy.deepcopy(error).fields() == error.fields()


@pytest.mark.parametrize("error", OURS, ids=name)
def test_an_exception_survives_the_json_of_an_event(error: StreamException) -> None:
    again = StreamException.from_dict(json.loads(json.dumps(error.to_dict())))
    assert type(again) is type(error)
    assert again.fields() == error.fields()
    assert str(again) == str(error)


def test_what_another_version_of_ours_has_written_is_still_an_exception() -> None:
    again = StreamException.from_dict({"exception": "StreamFutureError", "message": "no", "planet": "Mars"})
    assert type(again) is StreamException
    assert str(again) == "no"
    assert again.fields()["planet"] == "Mars"


@pytest.mark.parametrize("error", OURS, ids=name)
def test_an_exception_is_no_airflow_exception_so_that_soft_fail_does_not_skip_an_outage(
    error: StreamException,
) -> None:
    assert isinstance(error, StreamException)
    assert not isinstance(error, AirflowException)


def test_the_verdict_on_a_failed_stream_task_is_one_that_airflow_does_not_retry() -> None:
    assert isinstance(VERDICT, AirflowFailException)
    assert isinstance(VERDICT, StreamTaskException)


def test_the_verdict_is_serialized_as_airflow_serializes_its_exceptions() -> None:
    path, args, kwargs = VERDICT.serialize()
    assert path == "airflow_provider_streamtasks.sensors.task.StreamTaskFailed"
    assert StreamTaskFailed(*args, **json.loads(json.dumps(kwargs))).fields() == VERDICT.fields()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (StreamException("it broke"), "it broke"),
        (StreamException("it broke", hint="Mend it."), "it broke. Mend it."),
        (StreamException("it broke.", hint="Mend it."), "it broke. Mend it."),
        (StreamException(), ""),
        (StreamApiException("no", status_code=500), "Stream answered 500: no"),
        (StreamApiException("no", status_code=404, code=16), "Stream answered 404, code 16: no"),
        (
            StreamApiException("no", status_code=400, code=4, exception_fields={"a": "odd", "b": "bad"}),
            "Stream answered 400, code 4: no (a: odd; b: bad)",
        ),
        (
            StreamApiException("no", status_code=401, code=2, hint="Check the API key."),
            "Stream answered 401, code 2: no. Check the API key.",
        ),
        (StreamTaskException("it failed", task_id="a"), "it failed"),
        (StreamException("lost", may_be_taken=True), f"lost. {MAY_HAVE_BEEN_TAKEN}"),
        (
            StreamException("lost", hint="Mend it.", may_be_taken=True, batch="batch 2 of 3"),
            f"lost. It was batch 2 of 3. {MAY_HAVE_BEEN_TAKEN} Mend it.",
        ),
        (
            StreamException(
                "gone", hint="Mend it.", was_submitted=True, uncertain_batches="2 (items 3 to 4)"
            ),
            f"gone. Mend it. {WAS_SUBMITTED} Check at Stream whether batch 2 (items 3 to 4) was done: "
            "an earlier try sent it and saw no answer.",
        ),
    ],
)
def test_an_exception_says_what_happened_and_what_to_do(error: StreamException, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        (StreamConfigurationError, ValueError),
        (StreamRateLimitException, StreamApiException),
        (StreamTaskTimeout, StreamTransportException),
    ],
)
def test_the_tree_lets_callers_catch_as_widely_as_they_like(
    child: type[Exception], parent: type[Exception]
) -> None:
    assert issubclass(child, parent)
    assert issubclass(child, StreamException)


def test_a_timeout_of_a_wait_says_so_in_the_sdks_words() -> None:
    error = StreamTaskTimeout("too late", task_ids=("a",))
    assert (error.error_type, error.task_ids) == ("timeout", ["a"])


def test_a_failed_stream_task_that_is_alone_is_also_in_the_list() -> None:
    assert StreamTaskException("it failed", task_id="a").task_ids == ["a"]
