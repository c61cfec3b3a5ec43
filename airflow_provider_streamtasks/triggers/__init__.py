"""Triggers that wait for Stream tasks in the triggerer."""
