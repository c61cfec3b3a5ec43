"""What the oldest supported Airflow cannot do is not collected there."""

from __future__ import annotations

from airflow_provider_streamtasks import _compat

# Before Airflow 3.3 every wait ends on a worker, as tests/operators/test_delete_channels.py shows.
collect_ignore = [] if _compat.RUNS_WITHOUT_WORKERS else ["test_both_ends.py"]
