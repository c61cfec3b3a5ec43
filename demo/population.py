"""Who and what there is at Stream when the demo begins."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow_provider_streamtasks.sandbox.control import SandboxControl

ALERTS = "messaging:alerts"
"""The channel that the example DAGs post their alerts to."""


def populate(control: SandboxControl) -> None:
    """Put into the sandbox what the example DAGs look for."""
    midnight = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = (midnight - timedelta(hours=10)).timestamp()
    last_year = (midnight - timedelta(days=400)).timestamp()
    control.add_user("airflow", name="Airflow")
    control.add_channel(ALERTS)
    control.add_user("erasmus", name="Erasmus")
    for number in range(1, 31):  # more than one batch
        control.add_channel(f"messaging:project-{number}", created_at=last_year, last_message_at=yesterday)
    for number in range(1, 4):
        control.add_channel(f"messaging:abandoned-{number}", created_at=last_year, last_message_at=last_year)
