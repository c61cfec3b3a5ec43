"""Stream's protocol as pure code: no I/O, no clock, no sleep, no Airflow."""
