"""``StreamHook``: from an Airflow connection to Stream's API."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_streamtasks import _compat, configuration
from airflow_provider_streamtasks.arguments import given
from airflow_provider_streamtasks.exceptions import StreamException
from airflow_provider_streamtasks.hooks.client import StreamClient
from airflow_provider_streamtasks.hooks.polls import Polls
from airflow_provider_streamtasks.protocol import errors
from airflow_provider_streamtasks.protocol.fields import Seconds, Segment, Text
from airflow_provider_streamtasks.protocol.messages import Message
from airflow_provider_streamtasks.protocol.operations import Operation
from airflow_provider_streamtasks.protocol.rate_limits import (
    RateLimit,
    get_rate_limits,
    parse_rate_limit,
    read_rate_limit,
    server_time,
)
from airflow_provider_streamtasks.protocol.tasks import STREAM_TASKS, Answer, Pollable, StreamTask
from airflow_provider_streamtasks.protocol.wait import Wait, WaitTerms
from airflow_provider_streamtasks.protocol.wire import Request
from airflow_provider_streamtasks.provider_info import connection_type

if TYPE_CHECKING:
    from airflow_provider_streamtasks.protocol.operations import Submission
    from airflow_provider_streamtasks.protocol.queries import Listing

MAX_CLOCK_SKEW = 60.0
"""Seconds between our clock and Stream's from which ``test_connection`` mentions them."""

_ID = Segment(Text(max_length=sys.maxsize))  # how long one may be, only Stream knows


class StreamHook(StreamClient):
    """
    Talk to Stream (getstream.io).

    Methods that begin with ``a`` are the asynchronous twins for triggers. Call :meth:`aclose` after them.

    :param stream_conn_id: the Airflow connection, of type ``stream``
    """

    conn_name_attr = "stream_conn_id"
    default_conn_name = "stream_default"
    conn_type = "stream"
    hook_name = "Stream"

    def __init__(self, stream_conn_id: str = default_conn_name) -> None:
        super().__init__(stream_conn_id)

    # -- the connection's form, before Airflow 3.2 -------------------------------------------------------

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the fields that the form has on top of the standard ones."""
        return _compat.form_fields(connection_type()["conn-fields"])

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the standard fields are called, and which are hidden."""
        return _compat.form_behaviour(connection_type()["ui-field-behaviour"])

    # -- one call each ---------------------------------------------------------------------------------

    def submit(
        self,
        operation: Operation,
        items: Sequence[Any] = (),
        /,
        *,
        again_if: Callable[[StreamException], bool] = errors.is_not_taken,
        **options: Any,
    ) -> Submission:
        """
        Start a Stream task.

        A submission is sent again only if Stream certainly did not take it: after a 429, or if no connection
        was made.

        :param operation: a constant of :mod:`~airflow_provider_streamtasks.protocol.catalogue`, such as
            ``DELETE_CHANNELS``
        :param items: what to work on, at most as many as the operation's cap
        :param again_if: decides after which errors the submission is sent again
        :param options: further fields of the request
        :raises ValueError: if Stream would refuse the items or options; nothing was sent
        :raises StreamException: if Stream did not accept the submission. If Stream may have accepted it all
            the same, its attribute ``may_be_taken`` is true.
        """
        if not isinstance(operation, Operation):
            raise ValueError(
                f"operation is {shortened(operation)}: a constant of "
                "airflow_provider_streamtasks.protocol.catalogue, such as DELETE_CHANNELS, is needed"
            )
        request = operation.request(items, options)
        try:
            body, response = self._call(request, again_if=again_if, new_connection=True)
            return operation.read(body, parse_rate_limit(response.headers, time.time()), response.status)
        except StreamException as error:
            if errors.is_ambiguous(error):
                error.may_be_taken = True
            raise

    def get_task(
        self, task_id: str, pollable: Pollable = STREAM_TASKS, *, patience: float = 0.0
    ) -> StreamTask:
        """
        Return a Stream task as it stands now.

        Errors that pass (429, 408, 5xx, no answer) are retried a few times.

        :param pollable: what it is, where it is not a Stream task proper
        :param patience: seconds for which they are retried, however often
        :raises ValueError: if ``task_id`` cannot be one; nothing was sent
        :raises StreamException: if Stream does not tell
        """
        request = pollable.request(_ID.parse("task_id", task_id))
        return self._attempt(
            lambda: pollable.read(task_id, self._send(request), time.time()),
            again_if=errors.is_passing,
            patience=patience,
        )

    def call(self, request: Request) -> dict[str, Any]:
        """
        Make any call, and return the body of the answer.

        Errors that pass (429, 408, 5xx, no answer) are retried a few times, so use it only for calls that may
        be made twice.

        :raises StreamException: if Stream answers with an error, or not at all
        """
        return self._call(request, again_if=errors.is_passing)[0]

    def get_rate_limits(self) -> dict[str, dict[str, int]]:
        """
        Return the server side's budgets: endpoint -> ``limit``, ``remaining``, ``reset`` (Unix seconds).

        :raises StreamException: if Stream does not tell
        """
        return self.call(get_rate_limits()).get("server_side") or {}

    def get_budget(
        self, endpoint: str, *, again_if: Callable[[StreamException], bool] = errors.is_passing
    ) -> RateLimit | None:
        """
        Return what is left of one endpoint's budget; ``None`` where it is not limited.

        Stream limits this call itself, too (stream-chat-python, test_get_rate_limits).

        :param endpoint: Stream's name of it, such as ``DeleteUsers``
        :param again_if: decides after which errors the question is sent again
        :raises StreamException: if Stream does not tell
        """
        body, response = self._call(get_rate_limits(endpoint), again_if=again_if)
        return read_rate_limit(endpoint, body, response.headers, time.time())

    def test_connection(self) -> tuple[bool, str]:
        """Make one authenticated call and say in words whether it went well, or what is wrong."""
        remarks: Sequence[str] = ()
        try:
            remarks = self.get_conn().connection.remarks
            request = get_rate_limits()
            response = self._send(request)
            errors.read_body(request.operation, response, time.time())
        except StreamException as error:
            return False, " ".join([f"{str(error).rstrip('.')}.", *remarks] if remarks else [str(error)])
        sentences = ["Stream accepted the key and the secret."]
        skew = time.time() - server_time(response.headers, time.time())
        if abs(skew) > MAX_CLOCK_SKEW:
            sentences.append(f"This machine's clock is {skew:+.0f} s off.")
        return True, " ".join([*sentences, *remarks])

    # -- listing ---------------------------------------------------------------------------------------

    def iter_channels(
        self,
        filter_conditions: Mapping[str, Any] | None = None,
        *,
        sort: Mapping[str, int] | None = None,
        page_size: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """
        Yield the channels that a filter matches, from the oldest on, and ask for the next page when needed.

        Each is Stream's channel object (``cid``, ``type``, ``id``, ``created_at``, ``last_message_at``,
        ``member_count``, ``custom``, …) without members and messages. Times are nanoseconds since 1970.

        In the order of creation (``{"created_at": 1}``, the default, or ``{"created_at": -1}``), none is left
        out and none comes twice, however many match. You may delete them while you list, unless more than a
        page of them was made at one and the same moment. In another order Stream lists little more than
        1,000, and channels that move in that order meanwhile may be left out.

        :param filter_conditions: Stream's filter, such as ``{"type": "messaging", "last_message_at": {"$lt":
            moment}}``; ``None`` for all channels. Points in time may be aware ``datetime`` objects.
        :param sort: field -> 1 (ascending) or -1 (descending), the most important first
        :param page_size: channels of a page: 1 to 30, by default 30
        :raises ValueError: at once, if an argument is not allowed
        :raises StreamException: while iterating, if Stream answers with an error that does not pass, or does
            not answer, or has more in this order than it lists
        """
        from airflow_provider_streamtasks.protocol.queries import ChannelListing

        return self._iterate(ChannelListing(filter_conditions, sort, page_size))

    def iter_users(
        self,
        filter_conditions: Mapping[str, Any] | None = None,
        *,
        sort: Mapping[str, int] | None = None,
        page_size: int | None = None,
        include_deactivated_users: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """
        Yield the users that a filter matches, by their ids, and ask for the next page when needed.

        Each is Stream's user object (``id``, ``role``, ``created_at``, ``last_active``, ``custom``, …).
        Arguments and exceptions are those of :meth:`iter_channels`. The order without a limit is that of
        ``id``, in either direction.

        :param page_size: users of a page: 1 to 100, by default 100
        :param include_deactivated_users: yield those that are deactivated, too
        """
        from airflow_provider_streamtasks.protocol.queries import UserListing

        return self._iterate(
            UserListing(
                filter_conditions, sort, page_size, include_deactivated_users=include_deactivated_users
            )
        )

    def _iterate(self, listing: Listing) -> Iterator[dict[str, Any]]:
        while not listing.over:
            entries, limit = self._attempt(lambda: self._get_page(listing), again_if=errors.is_passing)
            answered_at = time.monotonic()
            yield from entries
            if limit is not None and not listing.over:
                share = self.get_conn().connection.rate_limit_share
                time.sleep(limit.pause(share, time.monotonic() - answered_at))

    def _get_page(self, listing: Listing) -> tuple[list[dict[str, Any]], RateLimit | None]:
        response = self._send(listing.request())
        now = time.time()
        return listing.read(response, now), parse_rate_limit(response.headers, now)

    # -- messages --------------------------------------------------------------------------------------

    def send_message(self, cid: str, text: str, *, user_id: str, message_id: str | None = None) -> str:
        """
        Send a message into a channel of Stream Chat, once, and return its id.

        Errors that pass (429, 408, 5xx, no answer) are retried a few times.

        :param cid: the channel, such as ``messaging:alerts``; it must exist
        :param text: the message
        :param user_id: the user at Stream who sends it; it must exist
        :param message_id: the id of the message (default: a random one). If Stream has a message with this id
            already, nothing is sent.
        :raises ValueError: if an argument is not allowed
        :raises StreamException: if Stream does not take the message
        """
        message = Message(cid, text, user_id, message_id or str(uuid4()))
        try:
            self.call(message.request())
        except StreamException as error:
            if not message.is_there(error):
                raise
        return message.id

    async def asend_message(self, cid: str, text: str, *, user_id: str, message_id: str | None = None) -> str:
        """Send a message without blocking the event loop: the twin of :meth:`send_message`."""
        message = Message(cid, text, user_id, message_id or str(uuid4()))
        try:
            await self._aattempt(self.acall, message.request(), again_if=errors.is_passing)
        except StreamException as error:
            if not message.is_there(error):
                raise
        return message.id

    # -- waiting ---------------------------------------------------------------------------------------

    def wait_for_task(
        self, task_id: str, poll_interval: float | None = None, timeout: float | None = None
    ) -> StreamTask:
        """
        Block until a Stream task is completed, and return it.

        :param task_id: the Stream task
        :param poll_interval: seconds between two polls at least (default: ``[streamtasks] poll_interval``, 1)
        :param timeout: seconds to wait (default: ``[streamtasks] timeout``, 60). 0 polls once.
        :raises StreamTaskException: if Stream says that it failed, or that its work did. A failure without a
            reason, or of a rate limit inside Stream, is confirmed by two more polls over ten seconds.
        :raises StreamTaskTimeout: if it is not finished in time. Stream may go on with it.
        :raises StreamApiException: at once for an error that does not pass (401, 403, an unknown task)
        :raises StreamException: after five minutes of nothing but errors
        """
        return self.wait_for_tasks([_ID.parse("task_id", task_id)], poll_interval, timeout)[0]

    def wait_for_tasks(
        self,
        task_ids: Iterable[str],
        poll_interval: float | None = None,
        timeout: float | None = None,
        pollable: Pollable = STREAM_TASKS,
    ) -> list[StreamTask]:
        """
        Block until every one of several Stream tasks is finished, and return them in order.

        Arguments and exceptions are those of :meth:`wait_for_task`, and a ``ValueError`` for a bad id.

        :param pollable: what they are, where they are not Stream tasks proper
        """
        poll_interval = given("poll_interval", poll_interval, Seconds(), configuration.poll_interval())
        timeout = given("timeout", timeout, Seconds(), configuration.timeout())
        terms = WaitTerms(timeout, poll_interval, configuration.max_poll_interval())
        named = [task_ids] if isinstance(task_ids, str) else task_ids
        checked = [_ID.parse("an item of task_ids", task_id) for task_id in named]
        wait = Wait(checked, terms, time.time(), pollable)
        self.carry_out(wait)
        return wait.result()

    def carry_out(self, wait: Wait, on_poll: Callable[[Wait], None] = lambda wait: None) -> None:
        """
        Poll what a wait is for until it is over, one poll after the other.

        :param on_poll: is called after each poll, and after each pause
        """
        polls = Polls(self, wait)
        while not wait.over:
            polls.go_on()
            on_poll(wait)

    def poll(self, task_id: str, pollable: Pollable = STREAM_TASKS) -> tuple[Answer, RateLimit | None]:
        """Poll once; return the answer, or any error as one, and what is left of the budget."""
        limit = None
        try:
            response = self._send(pollable.request(task_id))
            now = time.time()
            limit = parse_rate_limit(response.headers, now)
            return pollable.read(task_id, response, now), limit
        except Exception as error:
            return _why(error), limit

    async def apoll(self, task_id: str, pollable: Pollable = STREAM_TASKS) -> tuple[Answer, RateLimit | None]:
        """Poll once without blocking the event loop: the twin of :meth:`poll`."""
        limit = None
        try:
            response = await self._asend(pollable.request(task_id))
            now = time.time()
            limit = parse_rate_limit(response.headers, now)
            return pollable.read(task_id, response, now), limit
        except Exception as error:
            return _why(error), limit

    async def acall(self, request: Request) -> dict[str, Any]:
        """
        Make any call once, and return the body of the answer.

        :raises StreamException: if Stream answers with an error, or not at all
        """
        return errors.read_body(request.operation, await self._asend(request), time.time(), request.hints)


def _why(error: Exception) -> StreamException:
    # No error, such as a secrets backend that is down, may let anybody wait for ever.
    if isinstance(error, StreamException):
        return error
    return StreamException(f"The poll broke off: {type(error).__name__}: {error}")
