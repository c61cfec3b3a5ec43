"""Hooks: connections to Stream."""
