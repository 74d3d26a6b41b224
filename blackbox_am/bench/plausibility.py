"""Distance of stimuli to natural images, in the features of a network outside the search."""

from __future__ import annotations

import torch

from blackbox_am.zoo import catalogue, loading

NETWORK = "cifar_vit"
BATCH = 100


def features(stimuli: torch.Tensor) -> torch.Tensor:
    """Class tokens (N, 96) of the shipped vision transformer for stimuli (N, 3, 32, 32)."""
    entry = catalogue.entry(NETWORK)
    network = loading.load_classifier(NETWORK)
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (entry.mean, entry.std))
    with torch.no_grad():
        found = [
            network.features((part - mean) / std)[:, 0]  # type: ignore[operator]
            for part in torch.split(stimuli, BATCH)
        ]
    return torch.cat(found)


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
