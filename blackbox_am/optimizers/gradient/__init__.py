"""Optimizers of order 1."""
