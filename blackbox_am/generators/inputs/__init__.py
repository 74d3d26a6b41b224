"""Stimuli near given inputs."""
