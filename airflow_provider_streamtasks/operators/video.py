"""Operators on Stream Video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.protocol.catalogue import DELETE_CALL


class StreamDeleteCallOperator(StreamBaseOperator):
    """
    Delete a call.

    A soft delete is done at once, and is the only operation without a Stream task: ``return_value`` and
    ``task_ids`` are empty lists. A hard delete also destroys recordings and transcriptions, in the
    background, and cannot be undone.

    Every argument below is templated.

    :param call_type: the type of the call, such as ``default``; at most 64 characters
    :param call_id: the id of the call; at most 64 characters
    :param hard: whether to destroy it (Stream's default: False)
    """

    stream_operation = DELETE_CALL
    template_fields: Sequence[str] = (*DELETE_CALL.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#ffe4d6"

    def __init__(self, *, call_type: str, call_id: str, hard: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.call_type = call_type
        self.call_id = call_id
        self.hard = hard
        self.check_known()
