"""Pictures of studies: what was found, and how fast.

Every function takes plain numpy arrays and `core.types`, and returns a matplotlib `Figure`
that belongs to nobody else: no pyplot, no global state, no display needed.
"""

from blackbox_am.plots.convergence import Curve, convergence, curves
from blackbox_am.plots.montage import Row, montage
from blackbox_am.plots.saving import save
from blackbox_am.plots.sheet import sheet

__all__ = ["Curve", "Row", "convergence", "curves", "montage", "save", "sheet"]
