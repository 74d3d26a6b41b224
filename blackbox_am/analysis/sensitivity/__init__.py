"""What depends on what: Sobol indices of table features, groups of them, and latents.

`sobol` analyses the inputs of an oracle, `sobol_latents` the latents of a generator before it.
`prune` fixes the inputs of low index and measures the accuracy again.
"""

from blackbox_am.analysis.sensitivity.indices import Indices
from blackbox_am.analysis.sensitivity.latents import sobol_latents
from blackbox_am.analysis.sensitivity.pruning import Pruning, prune
from blackbox_am.analysis.sensitivity.result import SobolAnalysis
from blackbox_am.analysis.sensitivity.sobol import sobol

__all__ = ["Indices", "Pruning", "SobolAnalysis", "prune", "sobol", "sobol_latents"]
