"""Operators on Stream Chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import XComArg

from airflow_provider_streamtasks.operators.base import StreamOperator
from airflow_provider_streamtasks.protocol.operations import DELETE_CHANNELS


class StreamDeleteChannelsOperator(StreamOperator):
    """
    Delete channels.

    A soft delete hides channels and is done at once: there is no Stream task, ``return_value`` and
    ``task_ids`` are empty lists, and the XCom ``result`` says per channel what became of it. A hard delete
    also destroys the messages, in the background, and cannot be undone.

    :param cids: the channels, each as ``type:id`` (templated). Duplicates are dropped; every 100 are a batch.
    :param hard_delete: whether to destroy them (default: False, as at Stream)
    :raises ValueError: if a cid is not a cid; at parse time where it is not left to a template
    :raises StreamException: if Stream did not accept a batch; ``task_ids`` then holds those it did accept
    """

    operation = DELETE_CHANNELS
    template_fields: Sequence[str] = ("cids", "stream_conn_id")
    ui_color = "#ffe4d6"

    def __init__(self, *, cids: Sequence[str] | XComArg, hard_delete: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cids = cids
        self.hard_delete = hard_delete
        self._check_what_is_known()
