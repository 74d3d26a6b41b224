"""Benchmarks: one command for every claim about speed or quality.

Each command prints the ratio to a baseline of the same run, because absolute times vary from
run to run. The table states which targets were missed.
"""
