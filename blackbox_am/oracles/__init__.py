"""Oracles: one file, one kind of model. The file's name is the oracle's kind."""
