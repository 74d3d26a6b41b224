"""Back from features to stimuli: inversion, Deep Dream and style transfer.

`invert` and `dream` run with gradients, or gradient-free on any oracle; `style_transfer` needs maps
and gradients.
"""

from blackbox_am.analysis.synthesis.dream import Dream, dream
from blackbox_am.analysis.synthesis.inversion import InvertedStimulus, invert
from blackbox_am.analysis.synthesis.style import StyleTransfer, style_transfer

__all__ = ["Dream", "InvertedStimulus", "StyleTransfer", "dream", "invert", "style_transfer"]
