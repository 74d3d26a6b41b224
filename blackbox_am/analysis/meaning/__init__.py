"""What a unit means: concepts of masks and of texts, what fails without it, and its facets.

`dissect` labels units by masks of concepts (needs maps), `clip_dissect` by embeddings of images and
texts (needs units), `ablate` measures what a classifier loses without a unit (needs interventions),
and `facets` finds the different kinds of stimuli that excite one unit.
"""

from blackbox_am.analysis.meaning.ablation import Ablation, ablate
from blackbox_am.analysis.meaning.clip_dissect import ConceptScores, clip_dissect
from blackbox_am.analysis.meaning.dissection import Dissection, dissect
from blackbox_am.analysis.meaning.facets import Facets, facets

__all__ = [
    "Ablation",
    "ConceptScores",
    "Dissection",
    "Facets",
    "ablate",
    "clip_dissect",
    "dissect",
    "facets",
]
