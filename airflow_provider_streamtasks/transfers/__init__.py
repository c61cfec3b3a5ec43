"""Transfers: what Stream made, brought to where it is kept."""
