"""An Airflow, a Stream and a mail server on this machine: for ``make demo``, system tests and benchmarks."""
