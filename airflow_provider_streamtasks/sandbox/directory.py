"""The channels and users that the sandbox lists, and what the operations do to them."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_streamtasks.sandbox.answers import Nanoseconds, nanoseconds
from airflow_provider_streamtasks.sandbox.jobs import StreamTask
from airflow_provider_streamtasks.sandbox.rules import (
    COUNT,
    FLAG,
    OBJECT,
    SECONDS,
    TEXT,
    BadRule,
    Kind,
    or_null,
    read_rule,
)

YEAR = 365 * 86_400.0
MOST = 1_000_000
"""Channels or users that one rule makes at the most."""

_TEXT_LIST = Kind(
    "a list of strings",
    lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
)
_CID = Kind("a cid, type:id", lambda value: isinstance(value, str) and all(value.partition(":")[::2]))
_SIZE = Kind(f"a whole number from 0 to {MOST}", lambda value: COUNT.accepts(value) and value <= MOST)
_SEED = Kind("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool))

_CHANNEL_KINDS = {
    "cid": _CID,
    "created_at": SECONDS,
    "last_message_at": or_null(SECONDS),
    "members": _TEXT_LIST,
    "member_count": COUNT,
    "frozen": FLAG,
    "disabled": FLAG,
    "team": TEXT,
    "custom": OBJECT,
}
_USER_KINDS = {
    "id": TEXT,
    "name": TEXT,
    "role": TEXT,
    "created_at": SECONDS,
    "last_active": or_null(SECONDS),
    "banned": FLAG,
    "teams": _TEXT_LIST,
    "custom": OBJECT,
}
_POPULATION_KINDS = {"channels": _SIZE, "users": _SIZE, "seed": _SEED}

_TYPES = ("messaging", "messaging", "messaging", "team", "livestream")
_SUBJECTS = ("support", "sales", "garden", "chess", "release", "standup", "lunch", "music", "books")
_NAMES = (
    "Ada",
    "Alan",
    "Barbara",
    "Edsger",
    "Frances",
    "Grace",
    "Hedy",
    "John",
    "Katherine",
    "Ken",
    "Margaret",
)
_SURNAMES = ("Dijkstra", "Hopper", "Johnson", "Lamarr", "Liskov", "Lovelace", "Thompson", "Turing", "Vaughan")
_STREETS = ("Analytical Avenue", "Compiler Crescent", "Garden Lane", "Semaphore Street", "Turing Terrace")


@dataclass(slots=True)
class Channel:
    """A channel. Times are nanoseconds since 1970."""

    cid: str
    type: str
    id: str
    created_at: int
    last_message_at: int | None = None
    members: tuple[str, ...] = ()
    member_count: int = 0
    frozen: bool = False
    disabled: bool = False
    team: str | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)

    @property
    def updated_at(self) -> int:
        """When it was last changed: nothing changes it here."""
        return self.created_at

    @property
    def last_updated(self) -> int:
        """When its last message came, or it was made."""
        return self.last_message_at or self.created_at

    def as_stream_shows_it(self) -> dict[str, Any]:
        """Stream's channel object; what it has no value for is left out."""
        optional = {"last_message_at": _time(self.last_message_at), "team": self.team}
        return {
            "cid": self.cid,
            "type": self.type,
            "id": self.id,
            "created_at": Nanoseconds(self.created_at),
            "updated_at": Nanoseconds(self.updated_at),
            "member_count": self.member_count,
            "frozen": self.frozen,
            "disabled": self.disabled,
            "custom": dict(self.custom),
            **{name: value for name, value in optional.items() if value is not None},
        }


@dataclass(slots=True)
class User:
    """A user. Times are nanoseconds since 1970."""

    id: str
    name: str
    created_at: int
    role: str = "user"
    last_active: int | None = None
    banned: bool = False
    teams: tuple[str, ...] = ()
    deactivated_at: int | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)

    @property
    def updated_at(self) -> int:
        """When it was last changed."""
        return self.deactivated_at or self.created_at

    def as_stream_shows_it(self) -> dict[str, Any]:
        """Stream's user object."""
        return {
            **self.as_stream_mentions_it(),
            "mutes": [],
            "channel_mutes": [],
            "total_unread_count": 0,
            "unread_channels": 0,
            "unread_count": 0,
            "unread_threads": 0,
        }

    def as_stream_mentions_it(self) -> dict[str, Any]:
        """Stream's user object inside of another; what it has no value for is left out."""
        optional = {"last_active": _time(self.last_active), "deactivated_at": _time(self.deactivated_at)}
        return {
            "id": self.id,
            "name": self.name,
            "role": self.role,
            "created_at": Nanoseconds(self.created_at),
            "updated_at": Nanoseconds(self.updated_at),
            "banned": self.banned,
            "shadow_banned": False,
            "online": False,
            "invisible": False,
            "language": "",
            "teams": list(self.teams),
            "custom": dict(self.custom),
            "devices": [],
            "blocked_user_ids": [],
            **{name: value for name, value in optional.items() if value is not None},
        }


@dataclass(slots=True)
class Directory:
    """Who and what there is.

    :param clock: Unix time in seconds.
    :param softly_deleted: the channels that are deleted, but can still be exported.
    :param version: changes with everything else; who sorts may keep the order until then.
    """

    clock: Callable[[], float]
    channels: dict[str, Channel] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    softly_deleted: set[str] = field(default_factory=set)
    version: int = 0
    _under_way: list[StreamTask] = field(default_factory=list)

    def add_channel(self, rule: Any) -> None:
        """Add a channel, or replace the one with its cid.

        :param rule: ``cid``, and what else a :class:`Channel` has; times are Unix seconds.
        :raises BadRule: the rule makes no sense.
        """
        rule = _complete("channel", rule, _CHANNEL_KINDS, "cid")
        type_, _, id_ = rule["cid"].partition(":")
        members = tuple(rule.pop("members", ()))
        about = {"member_count": len(members), "created_at": self.clock(), **rule}
        self.channels[rule["cid"]] = Channel(type=type_, id=id_, members=members, **_in_nanoseconds(about))
        self.softly_deleted.discard(rule["cid"])
        self.version += 1

    def add_user(self, rule: Any) -> None:
        """Add a user, or replace the one with its id.

        :param rule: ``id``, and what else a :class:`User` has; times are Unix seconds.
        :raises BadRule: the rule makes no sense.
        """
        rule = _complete("user", rule, _USER_KINDS, "id")
        about = {
            "name": rule["id"],
            "created_at": self.clock(),
            **rule,
            "teams": tuple(rule.get("teams", ())),
        }
        self.users[rule["id"]] = User(**_in_nanoseconds(about))
        self.version += 1

    def populate(self, rule: Any) -> None:
        """Add channels and users that look like an app of three years; the same seed gives the same ones.

        :param rule: ``{"channels": how many, "users": how many, "seed": any number}``.
        :raises BadRule: the rule makes no sense.
        """
        rule = read_rule("population", rule, _POPULATION_KINDS)
        chance = random.Random(rule.get("seed", 0))  # noqa: S311 - plausible, not secret
        now = self.clock()
        for user in _users(chance, rule.get("users", 0), now):
            self.users[user.id] = user
        for channel in _channels(chance, rule.get("channels", 0), now, list(self.users)):
            self.channels[channel.cid] = channel
        self.version += 1

    def hide(self, cids: Iterable[str]) -> None:
        """Delete channels softly: they are not listed any more, but can still be exported."""
        for cid in cids:
            if self.channels.pop(cid, None):
                self.softly_deleted.add(cid)
        self.version += 1

    def knows(self, cid: str, *, softly_deleted: bool) -> bool:
        """Whether there is a channel.

        :param softly_deleted: whether one that is deleted softly counts.
        """
        self.settle()
        return cid in self.channels or (softly_deleted and cid in self.softly_deleted)

    def as_left_by(self, user_id: str, now: float, *, deactivated: bool) -> dict[str, Any]:
        """Stream's object of a user who was deactivated or reactivated; one whom nobody added is made up.

        :param now: when (Unix seconds).
        """
        user = self.users.get(user_id) or _stranger(user_id, now)
        moment = nanoseconds(now) if deactivated else None
        return replace(user, deactivated_at=moment).as_stream_mentions_it()

    def follow(self, task: StreamTask) -> None:
        """Let a Stream task have its effect, once it is completed."""
        if task.operation in _EFFECTS:
            self._under_way.append(task)

    def take_effect(self, operation: str, items: Iterable[str], now: float) -> None:
        """Do to channels and users what an operation does."""
        if operation in _EFFECTS:
            for item in items:
                _EFFECTS[operation](self, item, nanoseconds(now))
            self.version += 1

    def settle(self) -> None:
        """Let everything take effect that has completed until now."""
        now = self.clock()
        ended = [task for task in self._under_way if task.finished(now)]
        if not ended:
            return
        self._under_way = [task for task in self._under_way if not task.finished(now)]
        for task in sorted(ended, key=lambda task: task.timeline.now(now).time):
            moment, state = task.timeline.now(now)
            if state == "completed":
                failures = task.fate.failures(task.items)
                self.take_effect(
                    task.operation, (item for item in task.items if item not in failures), moment
                )

    def reset(self) -> None:
        """Forget everyone and everything."""
        self.channels.clear()
        self.users.clear()
        self.softly_deleted.clear()
        self._under_way.clear()
        self.version += 1


def _delete_channel(directory: Directory, cid: str, now: int) -> None:
    directory.channels.pop(cid, None)
    directory.softly_deleted.discard(cid)


def _delete_user(directory: Directory, user_id: str, now: int) -> None:
    directory.users.pop(user_id, None)


def _deactivate_user(directory: Directory, user_id: str, now: int) -> None:
    if user_id in directory.users:
        directory.users[user_id].deactivated_at = now


def _reactivate_user(directory: Directory, user_id: str, now: int) -> None:
    if user_id in directory.users:
        directory.users[user_id].deactivated_at = None


_EFFECTS: dict[str, Callable[[Directory, str, int], None]] = {
    "DeleteChannels": _delete_channel,
    "DeleteUsers": _delete_user,
    "DeactivateUsers": _deactivate_user,
    "ReactivateUsers": _reactivate_user,
}


def _time(moment: int | None) -> Nanoseconds | None:
    return None if moment is None else Nanoseconds(moment)


def _complete(noun: str, rule: Any, kinds: Mapping[str, Kind], id_: str) -> dict[str, Any]:
    complete = dict(read_rule(noun, rule, kinds))
    if not complete.get(id_):
        raise BadRule(f"a {noun} needs a key {id_!r}")
    return complete


def _in_nanoseconds(about: Mapping[str, Any]) -> dict[str, Any]:
    times = ("created_at", "last_message_at", "last_active")
    return {
        name: nanoseconds(value) if name in times and value is not None else value
        for name, value in about.items()
    }


def _ages(chance: random.Random, count: int, now: float) -> list[float]:
    """The times at which so many things were made, in order."""
    return sorted(now - chance.random() * 3 * YEAR for _ in range(count))


def _since(chance: random.Random, made: float, now: float) -> int | None:
    """When something was last used: mostly lately, often long ago, and sometimes never."""
    if chance.random() < 0.1:
        return None
    return _microseconds(now - (now - made) * chance.random() ** 2)


def _microseconds(moment: float) -> int:
    # Stream's database knows no finer time.
    return int(moment * 1_000_000) * 1000


def _channels(chance: random.Random, count: int, now: float, user_ids: list[str]) -> Iterable[Channel]:
    for number, made in enumerate(_ages(chance, count, now)):
        type_ = sys.intern(chance.choice(_TYPES))
        id_ = f"{chance.choice(_SUBJECTS)}-{number:06}"
        members = tuple(chance.choices(user_ids, k=2)) if user_ids else ()
        yield Channel(
            cid=f"{type_}:{id_}",
            type=type_,
            id=id_,
            created_at=_microseconds(made),
            last_message_at=_since(chance, made, now),
            members=members,
            member_count=len(set(members)),
            frozen=chance.random() < 0.02,
        )


def _stranger(user_id: str, now: float) -> User:
    """Someone with a name, an address and a phone number, always the same for an id."""
    chance = random.Random(user_id)  # noqa: S311 - plausible, not secret
    return User(
        id=user_id,
        name=f"{chance.choice(_NAMES)} {chance.choice(_SURNAMES)}",
        created_at=_microseconds(now - chance.random() * 3 * YEAR),
        custom={
            "address": f"{chance.randint(1, 999)} {chance.choice(_STREETS)}, Springfield",
            "phone": f"+1-555-01{chance.randint(0, 99):02}",
        },
    )


def _users(chance: random.Random, count: int, now: float) -> Iterable[User]:
    for number, made in enumerate(_ages(chance, count, now)):
        name = chance.choice(_NAMES)
        yield User(
            id=f"{name.lower()}-{number:06}",
            name=name,
            created_at=_microseconds(made),
            last_active=_since(chance, made, now),
            banned=chance.random() < 0.01,
        )
