"""The Airflow plugin that brings ``macros.streamtasks`` into every template."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_streamtasks.notifications.alerts import alert_text


class StreamTasksPlugin(AirflowPlugin):
    """Makes ``{{ macros.streamtasks.alert_text() }}`` work."""

    name = "streamtasks"
    macros = [alert_text]  # noqa: RUF012 - as Airflow declares it
