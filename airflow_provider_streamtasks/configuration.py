"""The ``[streamtasks]`` section of Airflow's configuration."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import conf

SECTION = "streamtasks"


def poll_interval() -> float:
    """Return the seconds between two polls of a Stream task at least."""
    return float(conf.getfloat(SECTION, "poll_interval", fallback=1.0))


def max_poll_interval() -> float:
    """Return the seconds between two polls of a Stream task at most."""
    return float(conf.getfloat(SECTION, "max_poll_interval", fallback=30.0))


def timeout() -> float:
    """Return the seconds that a Stream task is waited for."""
    return float(conf.getfloat(SECTION, "timeout", fallback=60.0))


def worker_end_seen() -> float:
    """
    Return the seconds after a deferral in which Airflow's scheduler surely sees that the worker has ended.

    If an Airflow task is back on a worker sooner, the scheduler takes that end for the end of the new worker,
    and fails the Airflow task: "state mismatch" (3.3.2; 3.4.0b2 only where the new worker runs already). It
    writes down nowhere that it has seen it, so there is nothing to ask for. The end of a process is noticed
    as late as the next heartbeat; what comes after it depends on how busy the scheduler is.
    """
    noticed = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)
    return float(noticed + conf.getfloat(SECTION, "scheduler_lag", fallback=10.0))


def max_items() -> str:
    """Return how many items an operator may send: a number, or ``unlimited``, as text."""
    return str(conf.get(SECTION, "max_items", fallback="unlimited"))


def max_result_size() -> int:
    """Return the bytes of a result above which its XCom is a summary."""
    return int(conf.getint(SECTION, "max_result_size", fallback=64 * 1024))


def record_progress() -> bool:
    """Tell whether waits in the triggerer record how far they have come."""
    return bool(conf.getboolean(SECTION, "record_progress", fallback=True))


def start_from_trigger_max_dag_tasks() -> int:
    """Return how many tasks a DAG may have for its sensors to begin in the triggerer."""
    return int(conf.getint(SECTION, "start_from_trigger_max_dag_tasks", fallback=100))


def redact_result_urls() -> bool:
    """Tell whether results lose the signatures of their URLs before they become XComs."""
    return bool(conf.getboolean(SECTION, "redact_result_urls", fallback=False))
