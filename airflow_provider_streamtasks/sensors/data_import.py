"""``StreamImportSensor``: an Airflow task that succeeds or fails with imports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg

from airflow_provider_streamtasks.arguments import (
    in_fixed_order,
    is_rendered,
    parse_states,
    parse_stream_task_ids,
)
from airflow_provider_streamtasks.sensors.task import StreamTaskSensor
from airflow_provider_streamtasks.waiting import ImportWaiter

if TYPE_CHECKING:
    from airflow.sdk import Context


class StreamImportSensor(StreamTaskSensor, ImportWaiter):
    """
    Wait until imports are finished: completed is success, failed is failure.

    An import of the first generation may wait for a person at Stream to confirm it; the log says so. The
    other arguments are those of :class:`~airflow_provider_streamtasks.sensors.task.StreamTaskSensor`, but
    this one always begins on a worker.

    :param import_id: the import, or a list of them; usually the output of the Airflow task that started it
        (templated)
    :param completed_states: for imports of the second generation, the states that mean success: Stream does
        not explain its numbers. Leave it empty for imports of the first generation.
    :param failed_states: for imports of the second generation, the states that mean failure
    """

    template_fields: Sequence[str] = ("import_id", "stream_conn_id")

    def __init__(
        self,
        *,
        import_id: str | Sequence[str] | XComArg,
        completed_states: Sequence[int] = (),
        failed_states: Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        # What is waited for is known as import_id here.
        super().__init__(stream_task_id=[], start_from_trigger=False, **kwargs)
        if is_rendered(import_id):
            parse_stream_task_ids(import_id, "import_id")
        self.import_id = in_fixed_order(import_id)
        self.completed_states = parse_states("completed_states", completed_states)
        self.failed_states = parse_states("failed_states", failed_states)

    def why_starts_on_worker(self) -> str:
        """Return why the Airflow task does not begin in the triggerer."""
        return "a wait for imports does not begin in the triggerer"

    @property
    def is_single(self) -> bool:
        """Whether one import is waited for, and not a list of them."""
        return isinstance(self.import_id, str)

    def awaited_task_ids(self, context: Context) -> list[str]:
        """Return the imports, whose ids are rendered by now."""
        return parse_stream_task_ids(self.import_id, "import_id")
