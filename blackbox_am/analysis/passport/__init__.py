"""A unit's passport: what excites it, what it is tuned to, where it looks, and whether to trust it.

`passports` measures units of one layer together and writes a page for each unit and an index.
"""

from blackbox_am.analysis.passport.excited import Excited
from blackbox_am.analysis.passport.layer import LayerFlags, layer_flags
from blackbox_am.analysis.passport.measuring import passports
from blackbox_am.analysis.passport.passport import Passport
from blackbox_am.analysis.passport.passports import Passports
from blackbox_am.analysis.passport.tuning import Tuning, tunings

__all__ = [
    "Excited",
    "LayerFlags",
    "Passport",
    "Passports",
    "Tuning",
    "layer_flags",
    "passports",
    "tunings",
]
