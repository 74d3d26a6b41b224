"""Generators of the user's own pictures: fitted to a folder, and stored in a folder.

`fit` is the whole; each other file has one part of it. A stored generator is named by its folder.
"""

from blackbox_am.fitting.fit import KINDS, Fitted, Request, fit

__all__ = ["KINDS", "Fitted", "Request", "fit"]
