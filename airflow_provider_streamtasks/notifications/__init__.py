"""Notifications: what a person gets to read when an Airflow task about Stream fails."""
