"""``StreamChatNotifier``: alerts as messages in a channel of Stream Chat."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from airflow.sdk import BaseNotifier

from airflow_provider_streamtasks._compat import redact
from airflow_provider_streamtasks.arguments import given, is_rendered
from airflow_provider_streamtasks.hooks.stream import StreamHook
from airflow_provider_streamtasks.notifications.alerts import alert_text
from airflow_provider_streamtasks.notifications.context import identity
from airflow_provider_streamtasks.protocol.fields import Text
from airflow_provider_streamtasks.protocol.messages import CHANNEL, MAX_TEXT

if TYPE_CHECKING:
    from airflow.sdk import Context


class StreamChatNotifier(BaseNotifier):
    """
    Post an alert as a message into a channel of Stream Chat.

    The channel and the user must exist: otherwise a typo would create a channel that nobody reads. A message
    is posted once, however often it had to be sent.

    :param channel: the channel's cid, such as ``messaging:alerts`` (templated)
    :param text: the message (templated). Default: :func:`~.alerts.alert_text`.
    :param user_id: the id of the user at Stream who posts it (templated)
    :param stream_conn_id: the Airflow connection, of type ``stream`` (templated)
    :param kwargs: ``context``, which Airflow passes to the asynchronous callback of a deadline
    :raises StreamException: if Stream does not take the message
    """

    template_fields: Sequence[str] = ("channel", "text", "user_id", "stream_conn_id")

    def __init__(
        self,
        *,
        channel: str,
        text: str | None = None,
        user_id: str = "airflow",
        stream_conn_id: str = StreamHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channel = CHANNEL.parse("channel", channel) if is_rendered(channel) else channel
        self.text = given("text", text, Text(MAX_TEXT), None)
        self._template = self.text
        self.user_id = Text().parse("user_id", user_id)
        self.stream_conn_id = Text().parse("stream_conn_id", stream_conn_id)

    def notify(self, context: Context) -> None:
        """Post the message."""
        hook = StreamHook(self.stream_conn_id)
        try:
            hook.get_conn()  # from here on its secrets are masked
            hook.send_message(**self._message(context))
        finally:
            hook.close()

    async def async_notify(self, context: Context) -> None:
        """Post the message from an event loop."""
        hook = StreamHook(self.stream_conn_id)
        try:
            await hook.aget_conn()
            await hook.asend_message(**self._message(context))
        finally:
            await hook.aclose()

    def __call__(self, *args: Any) -> None:
        """Post the message, as a callback."""
        # Airflow renders templates in place, and one notifier often serves several Airflow tasks.
        BaseNotifier.__call__(copy(self), *args)

    def _message(self, context: Context) -> dict[str, str]:
        # One id for all messages of this notifier about one event, so that Stream takes only one. Not made of
        # the rendered text, in which a time may differ when a callback runs again.
        message_id = uuid5(NAMESPACE_URL, repr((self.channel, self._template, *identity(context))))
        return {
            "cid": self.channel,
            "text": redact(alert_text(context) if self.text is None else self.text),
            "user_id": self.user_id,
            "message_id": str(message_id),
        }
