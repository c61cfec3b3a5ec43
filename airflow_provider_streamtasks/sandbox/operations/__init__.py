"""
Stream's asynchronous operations, one row each, written from Stream's OpenAPI document.

None of it is shared with the provider's own table: a mistake in both would go unnoticed.
"""

from __future__ import annotations

from airflow_provider_streamtasks.sandbox.operations import chat, feeds, moderation, users, video

OPERATIONS = (
    *chat.OPERATIONS,
    *users.OPERATIONS,
    *moderation.OPERATIONS,
    *video.OPERATIONS,
    *feeds.OPERATIONS,
)
