"""Distance of stimuli to natural images, in the features of a network outside the search."""

from __future__ import annotations

import torch

from blackbox_am.fitting.kid import features


def strangeness(stimuli: torch.Tensor, natural: torch.Tensor) -> torch.Tensor:
    """Distance (N,) of each stimulus to the nearest natural image, in feature space.

    The unit is the median distance of a natural image to the nearest other natural image. A
    value of 1 is therefore typical of natural images; a larger value means a stranger stimulus.
    """
    reference = features(natural)
    among = torch.cdist(reference, reference)
    among.fill_diagonal_(torch.inf)
    typical = among.amin(1).median()
    distance: torch.Tensor = torch.cdist(features(stimuli), reference).amin(1) / typical
    return distance
