"""Generators of tables, of time series, and of principal components of data."""
