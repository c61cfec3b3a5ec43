"""Operators, one module per Stream product."""
