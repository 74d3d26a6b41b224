"""Populations: genetic algorithms, swarms, and laws over codes."""
