"""How the DAGs of the demo ended, and whether that is how they should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_streamtasks.sandbox.control import SandboxControl
from demo.scenarios import SCENARIOS, SUCCESS, Ending
from local_stack.mail import LocalMail
from local_stack.rest import AirflowRest

HEADER = ("DAG", "Airflow task", "Stream task", "Airflow ended", "seconds", "worker starts")


def judge(
    airflow: AirflowRest,
    stream: SandboxControl,
    mail: LocalMail,
    runs: Mapping[str, str],
    posted: Sequence[str],
) -> tuple[list[list[str]], list[str]]:
    """
    Return the rows of a table, and a line for everything that is not as it should be.

    :param runs: DAG -> run id.
    :param posted: the alerts in the channel for alerts.
    """
    status = {task["stream_task_id"]: task["status"] for task in stream.tasks()}
    rows: list[list[str]] = []
    differences: list[str] = []
    for scenario in SCENARIOS:
        dag_id, run_id = scenario.dag_id, runs[scenario.dag_id]
        tasks = sorted(airflow.task_instances(dag_id, run_id), key=lambda task: task["start_date"] or "")
        for task in tasks:
            task_id, map_index = task["task_id"], task["map_index"]
            ids = _submitted(airflow, task)
            expected = scenario.endings.get(task_id)
            ending = _ending(airflow, task, expected, posted)
            rows.append(
                [
                    dag_id,
                    name_of(task),
                    ", ".join(f"{each[:8]} {status[each]}" for each in ids),
                    f"{ending}{' (expected)' if ending == expected != SUCCESS else ''}",
                    f"{task['duration'] or 0:.1f}",
                    str(airflow.worker_starts(dag_id, run_id, task_id, map_index)),
                ]
            )
            if ending != expected:
                differences.append(
                    f"{dag_id}: {name_of(task)} should have ended as {expected}, not as {ending}."
                )
        missing = set(scenario.endings) - {task["task_id"] for task in tasks}
        differences += [f"{dag_id}: {task_id} is missing." for task_id in sorted(missing)]
        late = any(alert.startswith(f"{dag_id} missed its deadline") for alert in posted)
        if late != scenario.late:
            differences.append(f"{dag_id}: there is {'an' if late else 'no'} alert that it is late.")
    subjects = {message["subject"] for message in mail.messages}
    mailing = {scenario.dag_id for scenario in SCENARIOS if scenario.mails}
    failures = [alert.partition(" (")[0] for alert in posted if " failed (" in alert]
    differences += [
        f"There is no mail {failure!r}."
        for failure in failures
        if failure not in subjects and failure.partition(".")[0] in mailing
    ]
    return rows, differences


def name_of(task: Mapping[str, Any]) -> str:
    """Return the Airflow task, and which of its instances it is if it is mapped."""
    return f"{task['task_id']}[{task['map_index']}]" if task["map_index"] >= 0 else str(task["task_id"])


def _submitted(airflow: AirflowRest, task: Mapping[str, Any]) -> list[str]:
    """Return the ids of the Stream tasks that an Airflow task started."""
    place = task["dag_id"], task["dag_run_id"], task["task_id"]
    try:
        return list(airflow.xcom(*place, "task_ids", task["map_index"]))
    except LookupError:
        return []


def _ending(
    airflow: AirflowRest, task: Mapping[str, Any], expected: Ending | None, posted: Sequence[str]
) -> Ending:
    """Return how a task ended; what its log and its alert were expected to say is part of it if they do."""
    place = task["dag_id"], task["dag_run_id"], task["task_id"]
    alert = next(
        (text for text in posted if text.startswith(f"{task['dag_id']}.{name_of(task)} failed")), None
    )
    log = alert_says = None
    if expected and expected.log and expected.log in airflow.logs(*place, map_index=task["map_index"]):
        log = expected.log
    if alert is not None:
        as_expected = expected and expected.alert and expected.alert in alert
        alert_says = expected.alert if expected and as_expected else "an unexpected alert"
    return Ending(task["state"], log, alert_says)
