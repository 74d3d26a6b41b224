"""Figures of studies: the best stimuli, and the best score against queries.

Every function takes numpy arrays and `core.types` and returns a new matplotlib `Figure`. The
functions do not use pyplot, do not change global state, and need no display.
"""

from blackbox_am.plots.convergence import Curve, convergence, curves
from blackbox_am.plots.montage import Row, montage
from blackbox_am.plots.saving import save
from blackbox_am.plots.sheet import sheet

__all__ = ["Curve", "Row", "convergence", "curves", "montage", "save", "sheet"]
