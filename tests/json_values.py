"""Whatever may come over the wire, for properties."""

from __future__ import annotations

import json

from hypothesis import strategies as st

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=5) | st.dictionaries(st.text(), children, max_size=5),
    max_leaves=20,
)

# Names that the code looks for, so that the values behind them are looked at.
_FIELDS = [
    *("code", "message", "exception_fields", "unrecoverable", "more_info", "details"),
    *("status", "result", "error", "created_at", "updated_at", "task_id"),
    *("type", "description", "stacktrace", "version", "failed_channels", "cids", "reason"),
]
_STATUSES = st.sampled_from(["completed", "failed", "error", "running", "PENDING", "ok", ""])


def objects(values: st.SearchStrategy[object] = anything) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from(_FIELDS) | st.text(), values | _STATUSES, max_size=8)


documents = objects(anything | objects() | st.lists(objects(), max_size=3))
bodies = (
    st.binary()
    | anything.map(lambda value: json.dumps(value).encode())
    | documents.map(lambda value: json.dumps(value).encode())
)
numbers = (
    st.integers().map(str)
    | st.floats().map(str)
    | st.integers(0, 400).map(lambda digits: "9" * digits)
    | st.lists(st.integers(), max_size=3).map(lambda parts: ", ".join(map(str, parts)))
)
dates = (
    st.datetimes()
    .map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S "))
    .flatmap(lambda start: st.sampled_from(["GMT", "+0000", "-9999", "XYZ", ""]).map(start.__add__))
)
headers = st.dictionaries(
    st.sampled_from(
        [
            "date",
            "retry-after",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "content-type",
        ]
    ),
    numbers | dates | st.text(),
)
statuses = st.integers(100, 599) | st.sampled_from([200, 201, 302, 401, 404, 429, 503])
