"""Wrappers that change what is measured, or how often."""
