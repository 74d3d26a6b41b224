"""Oracles that are programs in any language, connected by pipes."""
