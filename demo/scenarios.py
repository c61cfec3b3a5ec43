"""What the demo runs, and how each of it must end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Ending:
    """
    How an Airflow task ends.

    :param state: its last state.
    :param log: what its log shows, if that matters.
    """

    state: str
    log: str | None = None

    def __str__(self) -> str:
        return f"{self.state}: {self.log}" if self.log else self.state


@dataclass(frozen=True)
class Scenario:
    """
    One example DAG and its expected end.

    :param dag_id: the DAG.
    :param endings: Airflow task id -> how it must end.
    :param params: of the run; ``{folder}`` stands for a folder that is removed afterwards.
    """

    dag_id: str
    endings: Mapping[str, Ending]
    params: Mapping[str, str] = field(default_factory=dict)

    def conf(self, folder: Path) -> dict[str, str]:
        """Return the params of the run."""
        return {name: value.format(folder=folder) for name, value in self.params.items()}


SUCCESS = Ending("success")

SCENARIOS = (
    Scenario(
        "delete_channels_and_wait",
        {"delete_channels": SUCCESS, "wait_for_deletion": SUCCESS},
    ),
    Scenario(
        "delete_channels_with_alert",
        # Stream's words, as fates.json has them.
        {
            "delete_channels": SUCCESS,
            "wait_for_deletion": Ending("failed", "message store down"),
        },
    ),
    Scenario(
        "delete_channels_with_deadline",
        {"delete_channels": SUCCESS, "wait_for_deletion": Ending("failed", "AirflowSensorTimeout")},
    ),
    Scenario(
        "export_channels_to_storage",
        {"export_channels": SUCCESS, "wait_for_export": SUCCESS, "store_export": SUCCESS},
        {"destination": "file://{folder}/exports/"},
    ),
)
