"""
The signatures of URLs in what Stream says: found, to be masked in logs, or cut off.

A signature is the query string of a URL: anyone who has it may download the file. Libraries also name the
path and query of a URL alone: urllib3 in each error about a connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

# A URL matches with or without a query: otherwise a text with many URLs would take minutes.
_QUERY = re.compile(
    r"""((?:https?://|(?<![^\s"'(<\[=:,])/)[^\s?#"'<>]*)(?:\?([^\s"'<>]+))?"""
    r"""|(?<=[^\s"'<>?])\?([^\s"'<>?]*(?:signature|credential|token|sig)=[^\s"'<>]*)""",
    re.IGNORECASE,
)

_SECRET = re.compile(r"sig|token|key|policy|credential", re.IGNORECASE)


def without_signature(result: Any) -> Any:
    """
    Return a result with the query string of every URL in it cut off.

    The query holds the signature, and with it the right to download the file. What is left still names it.
    """
    if isinstance(result, str):
        return result.partition("?")[0] if signature(result) else without_queries(result)
    if isinstance(result, Mapping):
        return {key: without_signature(value) for key, value in result.items()}
    if isinstance(result, list):
        return [without_signature(value) for value in result]
    return result


def signatures(result: Any) -> Iterable[str]:
    """Yield the query string of every URL in a result."""
    if isinstance(result, str):
        query = signature(result)
        yield from [query] if query else queries(result)
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from signatures(value)
    elif isinstance(result, list):
        for value in result:
            yield from signatures(value)


def signature(text: str) -> str:
    """Return the query string of a URL; an empty string where ``text`` is no URL or has none."""
    try:
        parts = urlsplit(text)
    except ValueError:
        # Not a URL that can be read, so whatever follows the "?" is taken for a secret.
        return text.partition("?")[2] if text.lower().startswith("http") else ""
    return parts.query if parts.scheme in ("http", "https") else ""


def secrets(url: str) -> list[str]:
    """Return what logs must mask of a signed URL: its query, also without escapes, and its signing values."""
    query = signature(url)
    signing = [value for name, value in parse_qsl(query) if _SECRET.search(name)]
    return [secret for secret in (query, unquote(query), *signing) if secret]


def without_queries(text: str) -> str:
    """Return a text with the query cut off each URL in it: it may be a signature."""
    return _QUERY.sub(lambda match: match[1] or "", text)


def queries(text: str) -> list[str]:
    """Return the query of each URL in a text."""
    return [query for match in _QUERY.finditer(text) if (query := match[2] or match[3])]
