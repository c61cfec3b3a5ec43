"""What is known of a run that is over."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.book import Job

RUN_ID = "chaos"
"""The one run of each DAG."""


@dataclass(frozen=True, slots=True)
class Down:
    """
    Something was not there for a while.

    :param what: the component, ``database`` or ``stream``
    :param since: Unix time
    :param until: Unix time at which it was at work again
    """

    what: str
    since: float
    until: float


@dataclass
class Books:
    """
    All that is known of a run that is over: the three books, and what happened to it.

    :param jobs: what the DAGs asked for
    :param journal: the requests that reached the sandbox
    :param stream_tasks: id -> the Stream task as the sandbox shows it, with ``updated_at`` in Unix seconds
    :param tries: the tries of Airflow tasks as Airflow noted them, the earlier ones too
    :param reschedules: (DAG, task, try) -> Unix time of its first reschedule
    :param logs: the folder of the Airflow tasks' logs
    :param leaks: places where a secret stands that must not
    :param downs: what was down, and when
    :param outage: when Stream's began and ended, Unix time
    :param counts: what was done to the run
    :param stuck: Airflow tasks that had not ended when patience did
    :param lasted: seconds from the first DAG to the last end
    """

    jobs: list[Job]
    journal: list[dict[str, Any]]
    stream_tasks: dict[str, dict[str, Any]]
    tries: list[dict[str, Any]]
    reschedules: dict[tuple[str, str, int], float]
    logs: Path
    leaks: list[str] = field(default_factory=list)
    downs: list[Down] = field(default_factory=list)
    outage: tuple[float, float] = (0.0, 0.0)
    counts: Counter[str] = field(default_factory=Counter)
    stuck: list[str] = field(default_factory=list)
    lasted: float = 0.0
