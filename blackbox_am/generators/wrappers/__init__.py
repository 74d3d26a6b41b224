"""Wrappers of any generator. One file is one wrapper."""
