"""The first book: what the DAGs ask of Stream. A seed writes it; the DAGs and the audit read it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

DAGS = 10
"""DAGs that the jobs are spread over: one after the other they start during the storm."""

CAPS = {"DeleteChannels": 100, "DeleteUsers": 100, "ExportChannels": 25}
"""Items that one request of an operation carries."""

WAYS = {
    "sensor": 30,  # begins and ends in the triggerer
    "sensor_on_worker": 15,  # defers from a worker, and comes back to one
    "sensor_poke": 6,
    "sensor_reschedule": 5,
    "operator": 8,  # submits and waits on a worker
    "operator_deferrable": 25,
    "submission": 11,  # nobody waits
}
"""How a job is waited for -> how often."""

ENDS = {"completed": 70, "failed_once": 8, "failed": 10, "never": 12}
"""What becomes of the Stream tasks of a job -> how often. ``failed_once``: the first one of them fails."""


@dataclass(frozen=True, slots=True)
class Job:
    """
    One piece of work, and the one or two Airflow tasks that do it.

    :param name: is part of every item, so that a request tells whose it is
    :param dag: the number of its DAG
    :param operation: one of :data:`CAPS`
    :param count: how many items
    :param way: one of :data:`WAYS`
    :param end: one of :data:`ENDS`
    :param seconds: how long each Stream task takes
    :param timeout: seconds that it is waited for
    :param on_ambiguous: the operator's argument
    """

    name: str
    dag: int
    operation: str
    count: int
    way: str
    end: str
    seconds: float
    timeout: float
    on_ambiguous: str

    @property
    def dag_id(self) -> str:
        """The DAG."""
        return f"chaos_{self.dag}"

    @property
    def submitter(self) -> str:
        """The Airflow task that submits."""
        return f"{self.name}_submit"

    @property
    def waiter(self) -> str | None:
        """The Airflow task that waits; ``None`` where nobody does."""
        if self.way == "submission":
            return None
        return f"{self.name}_wait" if self.way.startswith("sensor") else self.submitter

    @property
    def task_ids(self) -> list[str]:
        """Its Airflow tasks."""
        return list(dict.fromkeys(filter(None, [self.submitter, self.waiter])))

    @property
    def retries(self) -> int:
        """
        Retries of the Airflow task that submits.

        Each retry submits anew what failed, so one that waits for what always fails must end some day.
        """
        return 3 if self.waiter == self.submitter and self.end == "failed" else 12

    @property
    def keys(self) -> list[str]:
        """What tells the items apart, in order."""
        return [f"{self.name}-{number}" for number in range(self.count)]

    @property
    def items(self) -> list[str]:
        """The items, as Stream names them."""
        return [key if self.operation == "DeleteUsers" else f"messaging:{key}" for key in self.keys]

    def batch_of(self, key: str) -> int:
        """Return the place of the batch that carries an item, from 0."""
        return int(key.partition("-")[2]) // CAPS[self.operation]

    def fates(self) -> Iterator[dict[str, object]]:
        """Yield what the sandbox must know of it."""
        rule = {"item": f"*{self.name}-*", "pending": 0.5, "running": self.seconds}
        end = {"failed_once": "completed"}.get(self.end, self.end)
        yield {**rule, "end": end}
        if self.end == "failed_once":
            yield {**rule, "end": "failed", "times": 1}


def write_book(seed: int, tasks: int) -> list[Job]:
    """Return jobs that make up so many Airflow tasks, or one more."""
    chance = random.Random(f"book {seed}")
    jobs: list[Job] = []
    count = 0
    while count < tasks:
        jobs.append(_job(chance, len(jobs)))
        count += len(jobs[-1].task_ids)
    # Their order decides when they begin, and every DAG is to have something of everything.
    return [Job(**{**asdict(job), "dag": number * DAGS // len(jobs)}) for number, job in enumerate(jobs)]


def save_book(jobs: list[Job], path: Path) -> None:
    """Write the book to a file."""
    path.write_text(json.dumps([asdict(job) for job in jobs]))


def load_book(path: Path) -> list[Job]:
    """Read the book from a file."""
    return [Job(**job) for job in json.loads(path.read_text())]


def _job(chance: random.Random, number: int) -> Job:
    operation = chance.choice(list(CAPS))
    way = _weighted(chance, WAYS)
    end = "completed" if way == "submission" else _weighted(chance, ENDS)
    if end == "failed_once" and way.startswith("sensor"):
        end = "failed"  # a sensor's verdict is final
    # Where a worker is held, briefly: there are few of them.
    longest = 20.0 if way in ("operator", "sensor_poke") else 80.0
    cap = CAPS[operation]
    several = chance.random() < 0.3
    return Job(
        name=f"j{number:03}",
        dag=0,
        operation=operation,
        count=chance.randint(cap + 1, 3 * cap) if several else chance.randint(1, cap // 2),
        way=way,
        end=end,
        seconds=round(chance.uniform(1.0, longest), 1),
        timeout=round(chance.uniform(10.0, 25.0 if longest == 20.0 else 60.0), 1)
        if end == "never"
        else 900.0,
        on_ambiguous=chance.choice(["fail", "resubmit"]),
    )


def _weighted(chance: random.Random, weights: dict[str, int]) -> str:
    return chance.choices(list(weights), list(weights.values()))[0]
