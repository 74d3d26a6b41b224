"""The other methods of the field, on any oracle that can answer them.

Activation maximisation finds what excites a unit. These methods say where in an input the unit
looks (`attribution`), and what its activation depends on (`sensitivity`). Every method checks the
capability it needs first, counts its queries, and returns an `Analysis` with `data()`, `plot()` and
`page()`.

This package imports nothing by itself, so that the command line starts without torch.
"""
