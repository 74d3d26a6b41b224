"""Results as objects: in notebooks, as tables, as figures, and as a folder of files.

`Result` has everything that a study found. `Reported` has the methods that a result and a client's
study share. Importing this package imports neither torch, pandas nor matplotlib.
"""

from blackbox_am.results.provenance import Identity, Provenance
from blackbox_am.results.reported import Reported
from blackbox_am.results.result import Result

__all__ = ["Identity", "Provenance", "Reported", "Result"]
