"""Models of the diffusers library."""
