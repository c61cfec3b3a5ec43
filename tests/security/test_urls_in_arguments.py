"""A signed URL that is given where none is taken does not stand in the error: logs and alerts have that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_streamtasks.operators.data_import import StreamImportOperator
from airflow_provider_streamtasks.operators.moderation import StreamBulkImageModerationOperator
from airflow_provider_streamtasks.operators.users import StreamDeleteUsersOperator
from airflow_provider_streamtasks.operators.video import StreamDeleteCallOperator
from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from tests.airflow_tasks import Run

HTTPS = "https://files.example.com/a.txt?X-Amz-Signature=12345&Expires=1"
AZURE = "abfss://files@account.dfs.core.windows.net/a.txt?sv=1&sig=12345"

PLACES: dict[str, Callable[[str], Any]] = {
    "items": lambda url: StreamDeleteUsersOperator(task_id="a", user_ids=url),
    "a file": lambda url: StreamImportOperator(task_id="a", file=url, mode="insert"),
    "a destination": lambda url: StreamExportToObjectStorageOperator(
        task_id="a", stream_task_id="b", destination=url
    ),
    "an item": lambda url: StreamDeleteUsersOperator(task_id="a", user_ids=[f"{url} "]),
    "a text": lambda url: StreamBulkImageModerationOperator(task_id="a", csv_file=f"{url} "),
    "an id": lambda url: StreamDeleteCallOperator(task_id="a", call_type="default", call_id=f"{url},"),
}


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("url", [HTTPS, AZURE], ids=["https", "azure"])
def test_the_error_says_which_it_is_without_what_signs(place: str, url: str) -> None:
    with pytest.raises(ValueError, match=r" is ") as raised:
        PLACES[place](url).execute(Run().context)
    assert url[:12] in str(raised.value) or "abfs://CONNECTION@files/a.txt" in str(raised.value)
    assert "345" not in str(raised.value)
    assert "Expires" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "shown"), [(Path(HTTPS), "a PosixPath"), (HTTPS.encode(), r"b'https://.*\.txt'")]
)
def test_nor_what_is_no_text(given: Any, shown: str) -> None:
    with pytest.raises(ValueError, match=f"^an item of user_ids is {shown}: a non-empty string"):
        StreamDeleteUsersOperator(task_id="a", user_ids=[given])
