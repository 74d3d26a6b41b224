"""Where in the input a unit looks: a value for each place of one stimulus.

`occlusion`, `rise`, `finite_differences` and `sobol_cells` need scores only. `saliency`,
`smoothgrad` and `integrated_gradients` need gradients; `guided_backprop`, `deconvnet`, `grad_cam`
and `lrp` need the layers of a PyTorch module too. `compare_maps` measures how far maps agree.
"""

from blackbox_am.analysis.attribution.comparison import MapComparison, compare_maps
from blackbox_am.analysis.attribution.finite_differences import finite_differences
from blackbox_am.analysis.attribution.gradients import (
    integrated_gradients,
    saliency,
    smoothgrad,
)
from blackbox_am.analysis.attribution.map import AttributionMap
from blackbox_am.analysis.attribution.module_methods import (
    deconvnet,
    grad_cam,
    guided_backprop,
    lrp,
)
from blackbox_am.analysis.attribution.occlusion import occlusion
from blackbox_am.analysis.attribution.rise import rise
from blackbox_am.analysis.attribution.sobol_cells import sobol_cells
from blackbox_am.analysis.attribution.template import template_map

__all__ = [
    "AttributionMap",
    "MapComparison",
    "compare_maps",
    "deconvnet",
    "finite_differences",
    "grad_cam",
    "guided_backprop",
    "integrated_gradients",
    "lrp",
    "occlusion",
    "rise",
    "saliency",
    "smoothgrad",
    "sobol_cells",
    "template_map",
]
