"""What is known of each kind of storage: data, and nothing that acts on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """
    How a kind of storage takes files, as far as it differs.

    :param whole_at_close: an object appears when its upload is complete, and replaces the old one in that
        moment. A temporary name would only cost a copy of the whole, and the right to delete.
    :param keeps_others: the storage itself refuses to replace a file, in one step, where one asks for that:
        ``"xb"`` in a condition of the upload (``If-None-Match`` at S3 and Azure, ``ifGenerationMatch`` at
        Google), ``"link"`` and ``"rename"`` in the step that gives a file its final name
    :param shows_early: the classes of fsspec files whose bytes are visible as they are written, although
        other files of the same filesystem are not
    :param asset_scheme: the scheme by which Airflow's providers and users name its files in assets
    :param noisy_loggers: loggers that tell every request, header by header
    """

    whole_at_close: bool = False
    keeps_others: str = ""
    shows_early: frozenset[str] = frozenset()
    asset_scheme: str = ""
    noisy_loggers: tuple[str, ...] = ()


OTHER = Storage()
"""A storage of which nothing is known but that fsspec can write to it and move in it."""

_DISK = Storage(keeps_others="link", asset_scheme="file")
_S3 = Storage(whole_at_close=True, keeps_others="xb", asset_scheme="s3")
_GOOGLE = Storage(
    whole_at_close=True,
    keeps_others="xb",
    # In zonal buckets, where gcsfs since 2026 appends, and its discard() leaves what is there.
    shows_early=frozenset({"ZonalFile"}),
    asset_scheme="gs",
)
_AZURE = Storage(
    whole_at_close=True,
    keeps_others="xb",
    asset_scheme="abfs",
    noisy_loggers=("azure.core.pipeline.policies.http_logging_policy", "azure.identity"),
)
_SFTP = Storage(keeps_others="rename", asset_scheme="sftp", noisy_loggers=("asyncssh",))

_STORAGES = {
    "": _DISK,
    "file": _DISK,
    "local": _DISK,
    "s3": _S3,
    "s3a": _S3,
    "s3n": _S3,
    "gs": _GOOGLE,
    "gcs": _GOOGLE,
    "abfs": _AZURE,
    "abfss": _AZURE,
    "sftp": _SFTP,
    "ssh": _SFTP,
}


def storage_of(protocol: str) -> Storage:
    """Return what is known of the storages with a scheme."""
    return _STORAGES.get(protocol, OTHER)


PART = 5 * 2**20
"""Bytes that go to an object storage at a time: the fewest that S3 takes. Several of these are in memory."""

_MOST_PARTS = 9_000  # S3 takes 10,000
_PART_OF_UNKNOWN = 2 * PART


def part_size(size: int | None) -> int:
    """
    Return the bytes of each part of an upload but the last. They are all of one size: R2 insists on it.

    :param size: bytes of the whole; ``None`` where nobody knows
    """
    if size is None:
        return _PART_OF_UNKNOWN
    # A multiple of 256 KiB, which Google insists on.
    return max(PART, -(-size // (_MOST_PARTS * 2**18)) * 2**18)


def read_options(protocol: str) -> dict[str, Any]:
    """Return what fsspec is told for reading: how much to ask an object storage for at a time."""
    return {"block_size": PART} if storage_of(protocol).whole_at_close else {}
