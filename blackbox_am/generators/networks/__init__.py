"""Decoders of one network: GANs, VQ-VAEs, program files."""
