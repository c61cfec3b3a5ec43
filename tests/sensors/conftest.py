"""What the oldest supported Airflow cannot do is not collected there."""

from __future__ import annotations

from airflow_provider_streamtasks import _compat

WITHOUT_WORKERS = ["test_both_ends.py", "test_dag_copy.py", "test_without_workers.py"]

# Before Airflow 3.3 every sensor begins and ends on a worker, as tests/sensors/test_task_sensor.py shows.
collect_ignore = [] if _compat.RUNS_WITHOUT_WORKERS else WITHOUT_WORKERS
