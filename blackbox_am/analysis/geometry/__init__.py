"""How a layer arranges its stimuli: angles of class means, clusters, and main directions.

`geometry` measures one layer, `compare_models` two models on the same stimuli, and `components`
finds the main directions of a layer's activations, as targets of studies.
"""

from blackbox_am.analysis.geometry.comparing import ModelComparison, compare_models
from blackbox_am.analysis.geometry.components import Components, components
from blackbox_am.analysis.geometry.layer import Geometry, geometry

__all__ = [
    "Components",
    "Geometry",
    "ModelComparison",
    "compare_models",
    "components",
    "geometry",
]
