"""What Airflow's UI shows of Stream tasks. Only the API server imports it."""
