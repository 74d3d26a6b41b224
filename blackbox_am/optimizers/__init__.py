"""Optimizers: one file, one optimizer. The file's name is the optimizer's name."""
