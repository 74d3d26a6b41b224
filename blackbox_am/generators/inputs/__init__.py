"""Generators of stimuli near given inputs."""
