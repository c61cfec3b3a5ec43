"""Files in the user's storage that nobody sees before they are complete."""

from __future__ import annotations

from abc import ABC, abstractmethod

from airflow_provider_streamtasks.transfers.aside import AHEAD


class Draft(ABC):
    """
    A new file, or the next version of one, that appears under its name when it is complete.

    A context manager: left without :meth:`commit`, it leaves nothing.
    """

    ahead = AHEAD
    """Bytes that are read ahead while others are written."""

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    @abstractmethod
    def write(self, data: bytes) -> None:
        """
        Append bytes.

        :raises OSError: for example if the disk is full
        """

    @abstractmethod
    def commit(self) -> None:
        """
        Let the file appear under its name.

        :raises FileExistsError: if nothing may be replaced, and another file is there
        :raises OSError: if the storage does not take it; it does not appear then
        """

    @abstractmethod
    def discard(self) -> None:
        """Throw away what was written. After :meth:`commit` there is nothing to throw away."""
