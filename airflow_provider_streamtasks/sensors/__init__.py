"""Sensors that wait for Stream tasks."""
