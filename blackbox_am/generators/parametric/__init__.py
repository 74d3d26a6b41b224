"""Images from formulas whose coefficients are the latents."""
