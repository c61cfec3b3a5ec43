"""Apache Airflow provider for the asynchronous tasks of Stream (getstream.io)."""

__version__ = "0.1.0"
