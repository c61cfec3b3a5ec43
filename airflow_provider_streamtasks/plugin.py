"""
The Airflow plugin: ``macros.streamtasks`` in templates, and what Airflow's UI shows of Stream tasks.

Every process of Airflow imports it. The parts that only the API server needs are imported when Airflow reads
them there.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_streamtasks import __version__, _compat
from airflow_provider_streamtasks.notifications.alerts import alert_text

log = logging.getLogger(__name__)

PREFIX = "/streamtasks"
"""Where Airflow's API server mounts the app."""


class StreamTasksPlugin(AirflowPlugin):
    """Brings the macros, the page "Stream tasks", the link to it and, since Airflow 3.4, the tab."""

    name = "streamtasks"
    macros = [alert_text]  # noqa: RUF012 - as Airflow declares it

    # Airflow removes refused entries from these lists, so each must stay the same object.
    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The app behind page and tab."""
        try:
            from airflow_provider_streamtasks.ui.app import app
        except (ImportError, AttributeError) as error:
            # The app needs names that Airflow does not promise to keep. The API server must start anyway.
            log.warning("The page Stream tasks cannot be shown by this release of Airflow: %s", error)
            return []
        return [{"name": "Stream tasks", "app": app, "url_prefix": PREFIX}]

    @cached_property
    def react_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The page in the menu Browse, and the tab of a task instance."""
        if not self.fastapi_apps:
            return []
        from airflow_provider_streamtasks.links import PAGE, root, task_classes

        # The version, so that no browser shows the page of an earlier release.
        bundle = f"{root()}{PREFIX}/static/stream_tasks.js?{__version__}"
        page = {
            "name": "Stream tasks",
            "bundle_url": bundle,
            "destination": "nav",
            "category": "browse",
            "url_route": PAGE,
        }
        if not _compat.KEEPS_TABS_OFF_OTHERS:
            return [page]
        tab = {
            "name": "Stream",
            "bundle_url": bundle,
            "destination": "task_instance",
            "url_route": "stream",
            "applies_to": {"operator_name": sorted({each.__name__ for each in task_classes()})},
        }
        return [page, tab]

    @cached_property
    def operator_extra_links(self) -> list[Any]:  # type: ignore[override]
        """The link on every operator and sensor, where there is a page to which it leads."""
        if not self.fastapi_apps:
            return []
        from airflow_provider_streamtasks.links import StreamTasksLink

        return [StreamTasksLink()]
