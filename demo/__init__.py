"""The demo: the example DAGs on a real Airflow on this machine, against the bundled sandbox."""
