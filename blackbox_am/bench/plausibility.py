"""How much stimuli look like natural images to a network that had no part in finding them."""

from __future__ import annotations

import torch

from blackbox_am.zoo import catalogue, loading

NETWORK = "cifar_vit"
BATCH = 100


def features(stimuli: torch.Tensor) -> torch.Tensor:
    """(N, 96): class tokens of the shipped vision transformer, for stimuli (N, 3, 32, 32)."""
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
    """(N,): distance of each stimulus to the nearest natural image, in features.

    In units of the median distance of a natural image to the nearest other one: 1 is as near
    as natural images are to each other, and larger is stranger.
    """
    reference = features(natural)
    among = torch.cdist(reference, reference)
    among.fill_diagonal_(torch.inf)
    typical = among.amin(1).median()
    distance: torch.Tensor = torch.cdist(features(stimuli), reference).amin(1) / typical
    return distance
