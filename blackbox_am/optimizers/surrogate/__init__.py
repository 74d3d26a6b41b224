"""Searches guided by a local model of the oracle."""
