"""``StreamImportSensor``: an Airflow task that succeeds or fails with imports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import XComArg

from airflow_provider_streamtasks.arguments import parse_states
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.waiting import ImportWaiter


class StreamImportSensor(StreamTaskSensor, ImportWaiter):
    """
    Wait until imports are finished: completed is success, failed is failure.

    An import of the first generation may wait for a person at Stream to confirm it; the log says so. The
    other arguments are those of :class:`~airflow_provider_streamtasks.sensors.task.StreamTaskSensor`.

    :param import_id: the import, or a list of them; usually the output of the Airflow task that started it
        (templated)
    :param completed_states: for imports of the second generation, the states that mean success: Stream does
        not explain its numbers. Leave it empty for imports of the first generation.
    :param failed_states: for imports of the second generation, the states that mean failure
    """

    template_fields: Sequence[str] = ("import_id", "stream_conn_id")
    ids_argument = "import_id"
    import_id: Any

    def __init__(
        self,
        *,
        import_id: str | Sequence[str] | XComArg,
        completed_states: Sequence[int] = (),
        failed_states: Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(stream_task_id=import_id, **kwargs)
        self.completed_states, self.failed_states = parse_states(completed_states, failed_states)
        if self.failed_states and not self.completed_states:
            raise ValueError(
                "completed_states is empty: with failed_states, the states of success are needed"
            )
