"""The ``[streamtasks]`` section of Airflow's configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_streamtasks.provider_info import get_provider_info

SECTION = "streamtasks"

_OPTIONS = get_provider_info()["config"][SECTION]["options"]


def _option(get: Callable[..., Any], name: str) -> Any:
    # Airflow itself does not know the default before it has read all its providers.
    return get(SECTION, name, fallback=str(_OPTIONS[name]["default"]))


def poll_interval() -> float:
    """Return the seconds between two polls of a Stream task at least."""
    return float(_option(conf.getfloat, "poll_interval"))


def max_poll_interval() -> float:
    """Return the seconds between two polls of a Stream task at most."""
    return float(_option(conf.getfloat, "max_poll_interval"))


def timeout() -> float:
    """Return the seconds that a Stream task is waited for."""
    return float(_option(conf.getfloat, "timeout"))


def worker_end_seen() -> float:
    """
    Return the seconds after a deferral in which Airflow's scheduler surely sees that the worker has ended.

    If an Airflow task is back on a worker sooner, the scheduler takes that end for the end of the new worker,
    and fails the Airflow task: "state mismatch" (3.3.2; 3.4.0b2 only where the new worker runs already). It
    writes down nowhere that it has seen it, so there is nothing to ask for. The end of a process is noticed
    as late as the next heartbeat; what comes after it depends on how busy the scheduler is.
    """
    noticed = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)
    return float(noticed + _option(conf.getfloat, "scheduler_lag"))


def max_items() -> str:
    """Return how many items an operator may send: a number, or ``unlimited``, as text."""
    return str(_option(conf.get, "max_items"))


def max_result_size() -> int:
    """Return the bytes of a result above which its XCom is a summary."""
    return int(_option(conf.getint, "max_result_size"))


def record_progress() -> bool:
    """Return whether waits record how far they have come."""
    return bool(_option(conf.getboolean, "record_progress"))


def start_from_trigger_max_dag_tasks() -> int:
    """Return how many tasks a DAG may have for its sensors to begin in the triggerer."""
    return int(_option(conf.getint, "start_from_trigger_max_dag_tasks"))


def redact_result_urls() -> bool:
    """Return whether results lose the signatures of their URLs before they become XComs."""
    return bool(_option(conf.getboolean, "redact_result_urls"))
