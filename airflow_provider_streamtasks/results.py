"""The results of Stream tasks, on their way to XCom on a worker."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk.log import mask_secret

from airflow_provider_streamtasks.protocol.delivery import RETURN_VALUE

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_streamtasks.protocol.delivery import Delivery

log = logging.getLogger(__name__)


def hand_on(context: Context, delivery: Delivery) -> Any:
    """
    Carry out on a worker what was decided about Stream tasks.

    :return: what the Airflow task is to return, which Airflow itself pushes; ``None`` for nothing
    :raises StreamException: if it is a failure
    """
    for secret in delivery.secrets:
        mask_secret(secret)
    for line in delivery.log_lines:
        log.info(line)
    for line in delivery.warnings:
        log.warning(line)
    for key, value in delivery.xcoms.items():
        if key != RETURN_VALUE:
            context["ti"].xcom_push(key, value)
    if delivery.failure:
        raise delivery.failure
    return delivery.xcoms.get(RETURN_VALUE)
