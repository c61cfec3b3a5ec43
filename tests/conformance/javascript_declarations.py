"""What the JavaScript SDKs declare of their methods, read from the TypeScript that they ship."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.conformance.javascript_calls import PACKAGES, Sdk
from tests.conformance.javascript_client import FOLDER

NO_WORK = frozenset(
    {
        "AddCommentReactionResponse",  # of the notification, if there is one
        "AddReactionResponse",
        "CampaignResponse",  # of its segments
        "CheckResponse",  # of an analysis that the answer itself tells of
        "PolicyTestSetResponse",  # of its latest run
        "SegmentResponse",  # what once made it
        "UpdateUsersAPIResponse",  # always empty by now
        "UpdateUsersResponse",
    }
)
"""Answers that hold the id of a Stream task, but not of the work that was asked for."""


def methods_with_an_id(sdk: Sdk) -> set[str]:
    """The methods whose answer holds the id of a Stream task."""
    root = FOLDER / "node_modules" / PACKAGES[sdk] / "dist"
    if sdk == "node-sdk":
        generated = root / "src" / "gen"
        types = _declared((generated / "models" / "index.d.ts").read_text(), "export interface ")
        classes = _read(generated.rglob("*Api.d.ts"))
    else:
        types = _declared((root / "types" / "types.d.ts").read_text(), "export type ")
        classes = _read(root / "types" / name for name in ("client.d.ts", "channel_batch_updater.d.ts"))
    ids = {name for name, fields in types.items() if re.search(r"^ {4}\w*task_id\??:", fields, re.MULTILINE)}
    ids |= {name for name, fields in types.items() if ids & _words(fields)}
    return {
        method
        for text in classes
        for method, rest in _members(text)
        if (ids - NO_WORK) & _words(rest.partition("Promise<")[2]) and not NO_WORK & _words(rest)
    }


def _read(paths: Iterable[Path]) -> Iterator[str]:
    return (_without_comments(path.read_text()) for path in paths)


def _without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def _declared(text: str, start: str) -> dict[str, str]:
    pattern = rf"^{start}(\w+)\b(.*?)(?=^{start}|\Z)"
    return dict(re.findall(pattern, _without_comments(text), re.MULTILINE | re.DOTALL))


def _members(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^ {4}(\w+)(\(.*?)(?=^ {4}\w|\Z)", text, re.MULTILINE | re.DOTALL)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))
