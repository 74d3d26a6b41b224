"""Objectives: one file, one leaf objective. The file's name is the objective's kind.

Sums, differences, products and multiples of objectives are `core.objective`'s algebra.
"""
