"""Optimizers of other libraries, recovered by replay."""
