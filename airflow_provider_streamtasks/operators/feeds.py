"""Operators on Stream Feeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_streamtasks.operators.base import StreamBaseOperator
from airflow_provider_streamtasks.operators.items import ItemsArgument, item_source
from airflow_provider_streamtasks.protocol.catalogue import (
    DELETE_FEED,
    DELETE_FEED_USER_DATA,
    DELETE_FEEDS,
    EXPORT_FEED_USER_DATA,
)


class StreamDeleteFeedOperator(StreamBaseOperator):
    """
    Delete a feed.

    Every argument below is templated.

    :param feed_group_id: the group of the feed, such as ``user``
    :param feed_id: the id of the feed within its group
    :param hard_delete: whether to destroy instead of hide (Stream's default: False)
    :param purge_user_activities: whether the owner's activities are deleted from every other feed as well;
        needs ``hard_delete``
    """

    stream_operation = DELETE_FEED
    template_fields: Sequence[str] = (*DELETE_FEED.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#ffe4d6"

    def __init__(
        self,
        *,
        feed_group_id: str,
        feed_id: str,
        hard_delete: bool | None = None,
        purge_user_activities: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.feed_group_id = feed_group_id
        self.feed_id = feed_id
        self.hard_delete = hard_delete
        self.purge_user_activities = purge_user_activities
        self.check_known()


class StreamDeleteFeedsOperator(StreamBaseOperator):
    """
    Delete feeds. All of a batch must exist, or Stream refuses the batch.

    Every argument below is templated.

    :param feeds: the feeds, each as ``group:id``: a list, the output of another Airflow task, a callable
        that takes the context, or a file with one per line. Duplicates are dropped; every 100
        are a batch.
    :param hard_delete: whether to destroy instead of hide (Stream's default: False)
    :param purge_user_activities: whether the owner's activities are deleted from every other feed as well;
        needs ``hard_delete``
    """

    stream_operation = DELETE_FEEDS
    template_fields: Sequence[str] = (*DELETE_FEEDS.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#ffe4d6"

    def __init__(
        self,
        *,
        feeds: ItemsArgument,
        hard_delete: bool | None = None,
        purge_user_activities: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.feeds = item_source(feeds)
        self.hard_delete = hard_delete
        self.purge_user_activities = purge_user_activities
        self.check_known()


class StreamDeleteFeedUserDataOperator(StreamBaseOperator):
    """
    Delete all that a user has in feeds, as privacy laws ask.

    Every argument below is templated.

    :param user_id: the user
    :param hard_delete: whether to destroy instead of hide (Stream's default: False)
    """

    stream_operation = DELETE_FEED_USER_DATA
    template_fields: Sequence[str] = (*DELETE_FEED_USER_DATA.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#ffe4d6"

    def __init__(self, *, user_id: str, hard_delete: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_id = user_id
        self.hard_delete = hard_delete
        self.check_known()


class StreamExportFeedUserDataOperator(StreamBaseOperator):
    """
    Export all that a user has in feeds, as privacy laws ask.

    Every argument below is templated.

    :param user_id: the user
    """

    stream_operation = EXPORT_FEED_USER_DATA
    template_fields: Sequence[str] = (*EXPORT_FEED_USER_DATA.arguments, *StreamBaseOperator.template_fields)
    ui_color = "#d6f5e0"

    def __init__(self, *, user_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_id = user_id
        self.check_known()
