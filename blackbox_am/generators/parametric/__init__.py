"""Formulas: their coefficients are the latents."""
