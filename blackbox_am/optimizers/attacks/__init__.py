"""Attacks: searches in a box around an input for a change that fools a model."""
