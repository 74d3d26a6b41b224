"""Wrappers of generators. The name of a file is the name of a wrapper."""
