"""Directions in the activations of a layer: probes, their alignment with a concept, and TCAV.

`probe` finds the direction that separates examples of a concept from others; `Probe.objective()`
makes it a target of a study. `alignment` tests whether the direction means the concept, because
accuracy does not establish it. `tcav` measures how a class depends on the direction.
"""

from blackbox_am.analysis.directions.alignment import Alignment, alignment
from blackbox_am.analysis.directions.probe import Probe, probe
from blackbox_am.analysis.directions.tcav import Tcav, tcav

__all__ = ["Alignment", "Probe", "Tcav", "alignment", "probe", "tcav"]
