"""Optimizers. The name of a file or package is the optimizer's name."""
