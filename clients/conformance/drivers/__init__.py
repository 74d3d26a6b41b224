"""The driver of the Python client."""
