"""Generators: one file, one generator. The file's name is the generator's kind."""
