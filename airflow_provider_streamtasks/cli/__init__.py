"""``airflow stream``: Stream tasks on the command line."""
