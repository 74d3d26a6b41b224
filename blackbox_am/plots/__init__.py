"""Figures of studies and attacks: stimuli, scores against queries, success and robustness.

Every function takes numpy arrays and `core.types` and returns a new matplotlib `Figure`. The
functions do not use pyplot, do not change global state, and need no display.
"""

from blackbox_am.plots.change import change
from blackbox_am.plots.confusion import confusion
from blackbox_am.plots.convergence import Curve, convergence, curves
from blackbox_am.plots.hierarchy import FoundUnit, LayerRow, hierarchy
from blackbox_am.plots.montage import Row, montage
from blackbox_am.plots.queries import Stops, stop_histogram, success_curves
from blackbox_am.plots.robustness import Robustness, robustness
from blackbox_am.plots.saving import save
from blackbox_am.plots.sheet import sheet

__all__ = [
    "Curve",
    "FoundUnit",
    "LayerRow",
    "Robustness",
    "Row",
    "Stops",
    "change",
    "confusion",
    "convergence",
    "curves",
    "hierarchy",
    "montage",
    "robustness",
    "save",
    "sheet",
    "stop_histogram",
    "success_curves",
]
