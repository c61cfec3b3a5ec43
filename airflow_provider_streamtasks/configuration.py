"""The ``[streamtasks]`` section of Airflow's configuration."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import conf

SECTION = "streamtasks"


def poll_interval() -> float:
    """Return the seconds between two looks at a Stream task at least."""
    return float(conf.getfloat(SECTION, "poll_interval", fallback=1.0))


def max_wait() -> float:
    """Return the seconds between two looks at a Stream task at most."""
    return float(conf.getfloat(SECTION, "max_wait", fallback=30.0))


def timeout() -> float:
    """Return the seconds that a Stream task is waited for."""
    return float(conf.getfloat(SECTION, "timeout", fallback=60.0))


def redact_result_urls() -> bool:
    """Tell whether results lose the signatures of their URLs before they become XComs."""
    return bool(conf.getboolean(SECTION, "redact_result_urls", fallback=False))
