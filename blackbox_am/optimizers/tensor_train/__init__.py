"""Tensor trains over grids and codes."""
