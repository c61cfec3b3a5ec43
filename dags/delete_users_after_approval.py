"""
Delete users for good, after a person has seen how many there are, and some of their ids, and approved.

``count_users`` checks and counts without sending anything. ``approve`` then waits for a person, under
"Required Actions" in the UI; a rejection, or a day without an answer, deletes nobody. ``delete_users``
gets the very list that was counted.

Change whom it finds in ``find_users``.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, task

from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.operators.users import StreamDeleteUsersOperator

FOUND = "ti.xcom_pull(task_ids='count_users', key='dry_run')"

with DAG(
    "delete_users_after_approval",
    schedule=None,
    catchup=False,
    params={"at_most": Param(1000, type="integer", minimum=1)},
    tags=["stream"],
    doc_md=__doc__,
):

    @task
    def find_users(params: Any = None) -> list[str]:
        users = StreamHook().iter_users({"role": "guest"})
        # One more than allowed is refused below, however many there are.
        user_ids = [user["id"] for user in islice(users, params["at_most"] + 1)]
        if not user_ids:
            raise AirflowSkipException("There are no guests")
        return user_ids

    user_ids = find_users()

    count_users = StreamDeleteUsersOperator(
        task_id="count_users",
        user_ids=user_ids,
        user="hard",
        messages="hard",
        max_items="{{ params.at_most }}",
        dry_run=True,
    )

    approve = ApprovalOperator(
        task_id="approve",
        subject="Delete {{ " + FOUND + "['items'] }} users for good?",
        body="Among them: {{ " + FOUND + "['sample'] | join(', ') }}. It cannot be undone.",
        defaults="Reject",
        response_timeout=timedelta(days=1),
    )

    delete_users = StreamDeleteUsersOperator(
        task_id="delete_users",
        user_ids=user_ids,
        user="hard",
        messages="hard",
        max_items="{{ " + FOUND + "['items'] }}",
        wait_for_completion=True,
        deferrable=True,
        wait_timeout=timedelta(hours=6),
        fail_on_partial=True,
    )

    count_users >> approve >> delete_users
