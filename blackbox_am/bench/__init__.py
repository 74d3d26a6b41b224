"""Measurements: every claim of speed or quality is a command here.

Each prints a ratio against a baseline measured in the same run, since absolute times
are noise, and states plainly what it missed.
"""
