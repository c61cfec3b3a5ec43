"""The terms of a wait, with the defaults of ``[streamtasks]``."""

from __future__ import annotations

from airflow_provider_streamtasks.protocol.wait import WaitTerms
from airflow_provider_streamtasks.provider_info import get_provider_info

_OPTIONS = get_provider_info()["config"]["streamtasks"]["options"]
_TIMEOUT, _POLL_INTERVAL, _MAX_POLL_INTERVAL = (
    float(_OPTIONS[name]["default"]) for name in ("timeout", "poll_interval", "max_poll_interval")
)


def wait_terms(
    timeout: float = _TIMEOUT,
    poll_interval: float = _POLL_INTERVAL,
    max_poll_interval: float = _MAX_POLL_INTERVAL,
    *,
    keep_on_errors: bool = False,
) -> WaitTerms:
    """Return the terms; the arguments are those of :class:`WaitTerms`."""
    return WaitTerms(timeout, poll_interval, max_poll_interval, keep_on_errors)
