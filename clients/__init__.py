"""Clients in other languages, and what tests them against the Python client."""
