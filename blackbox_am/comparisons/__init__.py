"""Comparisons of search methods, such as gradient ascent with gradient-free search, on the same
units, generator, starts and budget.
"""
