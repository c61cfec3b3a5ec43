"""Names of Airflow's that only tests use, and that stand elsewhere in older releases."""

from __future__ import annotations

from airflow.sdk.api.datamodels._generated import DagRun

try:
    from airflow.sdk.serde import deserialize as deserialize
    from airflow.sdk.serde import serialize as serialize
except ImportError:  # before Airflow 3.2
    from airflow.serialization.serde import deserialize, serialize  # noqa: F401

try:
    from airflow.serialization.serialized_objects import DagSerialization as DagSerialization
except ImportError:  # before Airflow 3.2
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization  # noqa: F401

try:
    from airflow.sdk.plugins_manager import integrate_macros_plugins as integrate_macros_plugins
except ImportError:  # before Airflow 3.2
    from airflow.plugins_manager import integrate_macros_plugins  # noqa: F401

try:
    from airflow.dag_processing.dagbag import DagBag as DagBag
except ImportError:  # before Airflow 3.2
    from airflow.models.dagbag import DagBag  # noqa: F401

try:
    from airflow.sdk import AsyncCallback as AsyncCallback
except ImportError:  # before Airflow 3.2
    from airflow.sdk.definitions.deadline import AsyncCallback  # noqa: F401

try:
    from airflow.sdk import CronDataIntervalTimetable as CronDataIntervalTimetable
except ImportError:  # before Airflow 3.2
    from airflow.timetables.interval import CronDataIntervalTimetable  # noqa: F401

NO_PARTITION: dict[str, None] = {"partition_key": None} if "partition_key" in DagRun.model_fields else {}
"""What Airflow's description of a run must have, since 3.2."""
