"""Operators on Stream Chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.operators.items import ItemsArgument, item_source
from airflow_provider_streamtasks.protocol.catalogue import (
    CHANNEL_BATCH_UPDATE,
    DELETE_CHANNELS,
    EXPORT_CHANNELS,
)


class StreamDeleteChannelsOperator(StreamBaseOperator):
    """
    Delete channels.

    A soft delete hides channels at once: Stream's answer says what became of each channel, and also names a
    Stream task. If the operator does not wait, the answer becomes the XCom ``result`` (if one request carried
    all channels), and channels that could not be deleted are failed items. If it waits, the Stream task has
    the last word. A hard delete also destroys the messages, in the background, and cannot be undone.

    Every argument below is templated.

    :param cids: the channels, each as ``type:id``: a list, the output of another Airflow task, a callable
        that takes the context, or a file with one per line. Duplicates are dropped; every 100
        are a batch.
    :param hard_delete: whether to destroy them (default: False, as at Stream)
    :param skip_truncate: whether a soft delete keeps the history, so that a new channel with the same cid has
        it again; for distinct channels only, and not with ``hard_delete`` (Stream's default: False)
    """

    stream_operation = DELETE_CHANNELS
    template_fields: Sequence[str] = (*DELETE_CHANNELS.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#ffe4d6"

    def __init__(
        self,
        *,
        cids: ItemsArgument,
        hard_delete: bool = False,
        skip_truncate: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cids = item_source(cids)
        self.hard_delete = hard_delete
        self.skip_truncate = skip_truncate
        self.check_known()


class StreamExportChannelsOperator(StreamBaseOperator):
    """
    Export channels with their messages to a file at Stream.

    The result of the Stream task holds the signed URL of the file. It is valid for 24 hours, and signed
    anew on every poll of the Stream task; the file stays for 60 days.

    Every argument below is templated.

    :param channels: the channels, each as ``type:id`` or as a dictionary with ``cid`` (or ``type`` and
        ``id``) and perhaps ``messages_since`` and ``messages_until`` (``datetime`` or RFC 3339): a list,
        the output of another Airflow task, a callable that takes the context, or a file with one per
        line. Duplicates are dropped; every 25 are a batch.
    :param version: ``v1``, one JSON document (Stream's default), or ``v2``, JSON lines
    :param format: ``json`` (Stream's default) or ``csv``, which needs ``version="v2"``
    :param include_fields: columns of a csv (Stream's default: a standard set)
    :param clear_deleted_message_text: whether the text of deleted messages is left out
    :param include_truncated_messages: whether truncated messages are exported
    :param include_soft_deleted_channels: whether soft-deleted channels are exported
    :param export_users: whether the users are exported as well; not with csv
    """

    stream_operation = EXPORT_CHANNELS
    template_fields: Sequence[str] = (*EXPORT_CHANNELS.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#d6f5e0"

    def __init__(
        self,
        *,
        channels: ItemsArgument,
        version: str | None = None,
        format: str | None = None,
        include_fields: Sequence[str] | None = None,
        clear_deleted_message_text: bool | None = None,
        include_truncated_messages: bool | None = None,
        include_soft_deleted_channels: bool | None = None,
        export_users: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = item_source(channels)
        self.version = version
        self.format = format
        self.include_fields = include_fields
        self.clear_deleted_message_text = clear_deleted_message_text
        self.include_truncated_messages = include_truncated_messages
        self.include_soft_deleted_channels = include_soft_deleted_channels
        self.export_users = export_users
        self.check_known()


class StreamChannelBatchUpdateOperator(StreamBaseOperator):
    """
    Change many channels in one Stream task: members, roles, visibility, data.

    Channels that could not be changed are failed items, although Stream says ``completed``.

    Every argument below is templated.

    :param operation: what to do: ``addMembers``, ``addMembersHideHistory``, ``removeMembers``,
        ``inviteMembers``, ``invites``, ``assignRoles``, ``addModerators``, ``demoteModerators``, ``hide``,
        ``show``, ``archive``, ``unarchive`` or ``updateData``
    :param filter: which channels: ``cids`` or ``types``, each with ``$eq`` or ``$in``
    :param members: at most 100 members, each a user's id, or a dictionary with ``user_id`` and perhaps
        ``channel_role``
    :param hide_history_before: for ``addMembersHideHistory``, which needs it: the messages before this time
        (``datetime`` or RFC 3339, in the past) stay hidden from the members that are added
    :param data: the data to set, for ``updateData``; ``custom`` in it replaces all custom data
    :param custom_set: custom data to set, for ``updateData``: dotted path to value. The rest of the custom
        data stays as it is.
    :param custom_unset: dotted paths of custom data to remove, for ``updateData``
    """

    stream_operation = CHANNEL_BATCH_UPDATE
    template_fields: Sequence[str] = (*CHANNEL_BATCH_UPDATE.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#fff3cc"

    def __init__(
        self,
        *,
        operation: str,
        filter: Mapping[str, Any],
        members: Sequence[str | Mapping[str, Any]] | None = None,
        hide_history_before: datetime | str | None = None,
        data: Mapping[str, Any] | None = None,
        custom_set: Mapping[str, Any] | None = None,
        custom_unset: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.operation = operation
        self.filter = filter
        self.members = members
        self.hide_history_before = hide_history_before
        self.data = data
        self.custom_set = custom_set
        self.custom_unset = custom_unset
        self.check_known()
