"""Measures of stimuli and latents: one file, one family of measures."""
