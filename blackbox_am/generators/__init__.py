"""Generators. The name of a file or package is the generator's kind."""
