"""Operators on users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.operators.items import ItemsArgument, item_source
from airflow_provider_streamtasks.protocol.catalogue import (
    DEACTIVATE_USERS,
    DELETE_USERS,
    EXPORT_USERS,
    REACTIVATE_USERS,
)


class StreamDeleteUsersOperator(StreamBaseOperator):
    """
    Delete users, and what belongs to them.

    Stream marks the users as deleted at once and does the rest in the background. Its budget for this is
    small: six requests a minute have been seen.

    Every argument below is templated.

    :param user_ids: the users: a list, the output of another Airflow task, a callable that takes the
        context, or a file with one per line. Duplicates are dropped; every 100 are a batch.
    :param user: ``soft`` (Stream's default) keeps the users' data, ``pruning`` empties it, ``hard`` destroys
        it. Stream refuses ``hard`` together with ``messages`` or ``conversations`` that are ``soft`` or
        ``pruning``.
    :param messages: ``soft``, ``pruning`` or ``hard``; None or an empty string leaves the messages. With
        ``user="hard"`` and without ``messages``, Stream does not document what becomes of them.
    :param conversations: ``soft`` or ``hard``, for channels of two members; None or an empty string leaves
        them. For ``user="hard"``, see ``messages``.
    :param calls: ``soft`` or ``hard``, for calls of two members; None or an empty string leaves them
    :param files: whether the users' files are deleted
    :param new_channel_owner_id: the user who gets their channels
    :param new_call_owner_id: the user who gets their calls
    """

    stream_operation = DELETE_USERS
    template_fields: Sequence[str] = (*DELETE_USERS.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#ffe4d6"

    def __init__(
        self,
        *,
        user_ids: ItemsArgument,
        user: str | None = None,
        messages: str | None = None,
        conversations: str | None = None,
        calls: str | None = None,
        files: bool | None = None,
        new_channel_owner_id: str | None = None,
        new_call_owner_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.user_ids = item_source(user_ids)
        self.user = user
        self.messages = messages
        self.conversations = conversations
        self.calls = calls
        self.files = files
        self.new_channel_owner_id = new_channel_owner_id
        self.new_call_owner_id = new_call_owner_id
        self.check_known()


class StreamDeactivateUsersOperator(StreamBaseOperator):
    """
    Deactivate users: they stay, but cannot connect.

    Every argument below is templated.

    :param user_ids: the users: a list, the output of another Airflow task, a callable that takes the
        context, or a file with one per line. Duplicates are dropped; every 100 are a batch.
    :param created_by_id: the user on whose behalf
    :param mark_messages_deleted: whether their messages appear deleted
    :param mark_channels_deleted: whether their channels appear deleted
    """

    stream_operation = DEACTIVATE_USERS
    template_fields: Sequence[str] = (*DEACTIVATE_USERS.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#ffe4d6"

    def __init__(
        self,
        *,
        user_ids: ItemsArgument,
        created_by_id: str | None = None,
        mark_messages_deleted: bool | None = None,
        mark_channels_deleted: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.user_ids = item_source(user_ids)
        self.created_by_id = created_by_id
        self.mark_messages_deleted = mark_messages_deleted
        self.mark_channels_deleted = mark_channels_deleted
        self.check_known()


class StreamReactivateUsersOperator(StreamBaseOperator):
    """
    Reactivate users that were deactivated.

    Every argument below is templated.

    :param user_ids: the users: a list, the output of another Airflow task, a callable that takes the
        context, or a file with one per line. Duplicates are dropped; every 100 are a batch.
    :param created_by_id: the user on whose behalf
    :param restore_messages: whether their messages appear again
    :param restore_channels: whether their channels appear again
    """

    stream_operation = REACTIVATE_USERS
    template_fields: Sequence[str] = (*REACTIVATE_USERS.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#d6f5e0"

    def __init__(
        self,
        *,
        user_ids: ItemsArgument,
        created_by_id: str | None = None,
        restore_messages: bool | None = None,
        restore_channels: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.user_ids = item_source(user_ids)
        self.created_by_id = created_by_id
        self.restore_messages = restore_messages
        self.restore_channels = restore_channels
        self.check_known()


class StreamExportUsersOperator(StreamBaseOperator):
    """
    Export users with up to 10,000 messages of each, as JSON lines.

    The result of the Stream task holds the signed URL of the file, valid for 24 hours.

    Every argument below is templated.

    :param user_ids: the users: a list, the output of another Airflow task, a callable that takes the
        context, or a file with one per line. Duplicates are dropped; every 25 are a batch.
    """

    stream_operation = EXPORT_USERS
    template_fields: Sequence[str] = (*EXPORT_USERS.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#d6f5e0"

    def __init__(self, *, user_ids: ItemsArgument, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_ids = item_source(user_ids)
        self.check_known()
