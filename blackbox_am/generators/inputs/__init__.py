"""Stimuli around inputs that are given."""
