"""What keeps a sensor from beginning in the triggerer, where Airflow does less than on a worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_streamtasks import _compat, configuration
from airflow_provider_streamtasks.arguments import is_rendered
from airflow_provider_streamtasks.ending import is_mapped, needs_worker_to_end

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_provider_streamtasks.sensors.task import StreamTaskSensor


@dataclass(frozen=True)
class OnlyIf:
    """
    A class attribute that Airflow reads, decided for each sensor when it is read.

    Airflow reads it when it serializes the DAG: by then callbacks, outlets and what depends on the sensor are
    known, also those that were added after the sensor was made.

    :param decide: the name of the method that decides
    :param otherwise: the value on the class, which is what mapped sensors have
    """

    decide: str
    otherwise: Any

    def __get__(self, sensor: StreamTaskSensor | None, owner: type) -> Any:
        """Decide."""
        return self.otherwise if sensor is None else getattr(sensor, self.decide)()


def needs_worker_to_start(sensor: StreamTaskSensor) -> str | None:
    """Return why the Airflow task must not begin in the triggerer; ``None`` if it may."""
    if reason := impossible_to_start(sensor) or needs_worker_to_end(sensor):
        return reason
    if sensor.on_execute_callback:
        return "on_execute_callback would not be called"
    if _compat.has_hook(sensor, _compat.PRE_EXECUTE):
        return "pre_execute would not be called"
    if sensor.execution_timeout:
        return "execution_timeout would end the wait"
    if sensor.pool != conf.get("core", "default_pool_name", fallback="default_pool"):
        return f"the pool {sensor.pool!r} would not be asked"
    if sensor.max_active_tis_per_dag is not None or sensor.max_active_tis_per_dagrun is not None:
        return "max_active_tis would not be kept"
    if sensor.operator_extra_links:
        return "extra links would not be made"
    if _compat.loses_queues():
        return f"triggerers that serve the queue {sensor.queue!r} would not see it"
    return _too_wide(sensor.get_dag())


def _too_wide(dag: DAG | None) -> str | None:
    """Return why the DAG is too large for a copy of it in each trigger; ``None`` if it is not."""
    tasks, limit = len(dag.task_dict) if dag else 0, configuration.start_from_trigger_max_dag_tasks()
    if tasks > limit:
        return (
            f"each sensor of its DAG that begins in the triggerer gets a copy of all {tasks} tasks "
            f"([streamtasks] start_from_trigger_max_dag_tasks: {limit})"
        )
    return None


def impossible_to_start(sensor: StreamTaskSensor) -> str | None:
    """Return why the Airflow task cannot begin in the triggerer, even on demand; ``None`` if it can."""
    if not sensor.deferrable:
        return "it is not deferrable"
    if not is_rendered(sensor.stream_conn_id):
        return "stream_conn_id is a template"
    if is_mapped(sensor):
        return "it is in a mapped task group"
    source, name = sensor.source, sensor.ids_argument
    if _compat.is_task_output(source):
        mapped = is_mapped(source.operator)
        return f"{name} comes from the mapped task {source.operator.task_id!r}" if mapped else None
    if is_rendered(source):
        return None
    return f"{name} is a template" if isinstance(source, str) else f"{name} is made of outputs or templates"
