"""What goes wrong, and when: made from a seed alone, so that a seed repeats a run."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

TRIGGERER, SCHEDULER, API, PROCESSOR = "triggerer", "scheduler", "api-server", "dag-processor"
WORKERS = ("worker-1", "worker-2")


@dataclass(frozen=True, slots=True)
class Size:
    """
    How much is asked for, and how much goes wrong.

    :param tasks: Airflow tasks
    :param accepted: Stream tasks that run, or have run, when the storm begins
    :param storm: seconds in which things go wrong
    :param outage: seconds in which Stream does not answer at all
    :param calm: seconds after the outage in which nothing is killed, so that the return is seen by itself
    :param kills: what is killed -> how often; ``task`` is a process of one running Airflow task
    :param bursts: how often Stream answers 429 to everything for some seconds
    :param patience: seconds after the storm until everything must have ended
    """

    tasks: int
    accepted: int
    storm: float
    outage: float
    calm: float
    kills: dict[str, int]
    bursts: int
    patience: float = 600.0


FULL = Size(
    tasks=300,
    accepted=20,
    storm=240.0,
    outage=60.0,
    calm=60.0,
    kills={TRIGGERER: 2, SCHEDULER: 2, API: 2, PROCESSOR: 1, WORKERS[0]: 1, WORKERS[1]: 1, "task": 8},
    bursts=3,
)
SHORT = Size(
    tasks=40,
    accepted=5,
    storm=110.0,
    outage=15.0,
    calm=20.0,
    kills={TRIGGERER: 1, SCHEDULER: 1, API: 1, WORKERS[0]: 1, "task": 3},
    bursts=1,
)


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """
    One thing that happens to the run.

    :param at: seconds from its beginning
    :param what: ``start`` a DAG, ``kill``, restart the ``database``, begin or end (``phase``) a part of the
        outage, ``burst``
    :param whom: the DAG, the component, the kind of outage
    :param number: a random number, for what the moment must decide; or seconds
    """

    at: float
    what: str
    whom: str = ""
    number: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """
    The events of one run, in order.

    :param early: the DAGs that start before the storm
    :param outage: when it begins and ends, in seconds from the beginning
    """

    early: list[str]
    events: list[Event]
    outage: tuple[float, float]


HINDRANCES = ("unavailable", "hangs", "reset_before")
"""The parts of the outage, in an order that the seed decides: errors, silence, connections that are cut."""


def make_plan(seed: int, size: Size, dag_ids: list[str]) -> Plan:
    """Return what happens in the run of a seed."""
    chance = random.Random(f"plan {seed}")
    began = size.storm * chance.uniform(0.25, 0.35)
    ended = began + size.outage
    early, later = dag_ids[: len(dag_ids) // 3], dag_ids[len(dag_ids) // 3 :]
    events = [
        Event(size.storm * 0.7 * number / len(later), "start", dag_id) for number, dag_id in enumerate(later)
    ]
    part = size.outage / len(HINDRANCES)
    kinds = chance.sample(HINDRANCES, len(HINDRANCES))
    events += [Event(began + part * number, "phase", kind, part) for number, kind in enumerate(kinds)]
    events.append(Event(ended, "phase", "over"))
    for whom, times in size.kills.items():
        taken: list[float] = []
        for _ in range(times):
            while True:
                at = chance.uniform(15.0, size.storm)
                apart = whom == "task" or all(abs(at - other) > 25.0 for other in taken)
                if apart and not ended - 5.0 < at < ended + size.calm:
                    break
            taken.append(at)
            events.append(Event(at, "kill", whom, chance.random()))
    at = chance.choice([chance.uniform(15.0, ended - 10.0), chance.uniform(ended + size.calm, size.storm)])
    events.append(Event(at, "database", number=chance.uniform(1.0, 4.0)))
    for _ in range(size.bursts):
        while began - 8.0 < (at := chance.uniform(10.0, size.storm)) < ended + size.calm:
            pass
        events.append(Event(at, "burst", number=chance.uniform(3.0, 6.0)))
    return Plan(early, sorted(events), (began, ended))
