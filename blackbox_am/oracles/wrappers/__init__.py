"""Wrappers of any oracle. One file is one wrapper."""
