"""Oracles. The name of a file or package is the oracle's kind."""
