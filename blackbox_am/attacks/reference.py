"""Attacks in a latent space: what is attacked, and what another classifier sees in the results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.attacks.classes import classes_of
from blackbox_am.attacks.results import AttackedInput, AttackResult, Outcome, float_stimuli
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit
from blackbox_am.generators.inputs.neighbourhood import Neighbourhood
from blackbox_am.oracles.torch.torch_module import TorchModule

ROWS = 64
"""Rows in one call of a reference classifier, and of a decoder."""


def decoded(stimuli: NDArray[Any], autoencoder: str) -> NDArray[np.float32]:
    """(N, *input) what the autoencoder makes of the inputs: the clean inputs of an attack in its
    latent space, whose changes begin there.

    Raises:
        NotFound, InvalidSpec: for an autoencoder that does not exist or takes other inputs.
    """
    around = Neighbourhood(inputs=float_stimuli(stimuli), weights=autoencoder)
    dimension = around.space.dim
    with torch.no_grad():
        parts = [
            around.render_targets(torch.zeros(len(rows), dimension), rows).numpy()
            for rows in torch.split(torch.arange(len(stimuli)), ROWS)
        ]
    return np.concatenate(parts)


@dataclass(frozen=True)
class Reference:
    """A classifier that says what an image shows.

    Attributes:
        model: the classifier.
        quantities: the units with the scores of its classes.
        name: for messages.
    """

    model: Oracle
    quantities: tuple[str, ...]
    name: str

    def labels(self, stimuli: NDArray[Any]) -> NDArray[np.int64]:
        """(N,) the classes that it sees."""
        units = [Unit.parse(text) for text in self.quantities]
        rows = torch.from_numpy(float_stimuli(stimuli))
        with torch.no_grad():
            parts = [
                self.model.observe(part, units).cpu().numpy() for part in torch.split(rows, ROWS)
            ]
        found: NDArray[np.int64] = np.concatenate(parts).argmax(1)
        return found


def reference_of(
    reference: Oracle | str | torch.nn.Module,
    catalogue: Catalogue,
    device: str,
    shape: tuple[int, ...],
) -> Reference:
    """The reference classifier.

    Raises:
        NotFound, InvalidInput: for a name that is unknown, or a model without classes.
    """
    name = reference if isinstance(reference, str) else type(reference).__name__
    if isinstance(reference, torch.nn.Module):
        reference = TorchModule(reference, stimulus_shape=shape, device=device)
    model = catalogue.oracle(reference) if isinstance(reference, str) else reference
    return Reference(model, classes_of(model.describe(), name="the reference").quantities, name)


def judged_by(reference: Reference, result: AttackResult) -> AttackResult:
    """`result`, where a success counts only if the reference still sees the true class.

    A large change of a latent may change what an image shows; then the attacked model is right. The
    rows of the reference are on no account.
    """
    rows = [row for row, one in enumerate(result.inputs) if one.outcome is Outcome.SUCCESS]
    inputs = list(result.inputs)
    if rows:
        for row, label in zip(rows, reference.labels(result.adversarial[rows]), strict=True):
            inputs[row] = _judged(inputs[row], int(label), reference.name, result.classes)
    kept = sum(one.outcome is Outcome.SUCCESS for one in inputs)
    text = f"{reference.name}, sees the true class in {kept} of {len(rows)} successes"
    return replace(result, inputs=tuple(inputs), identity={**result.identity, "reference": text})


def _judged(one: AttackedInput, label: int, name: str, classes: tuple[str, ...]) -> AttackedInput:
    if label == one.label:
        return one
    seen = classes[label] if label < len(classes) else str(label)
    message = f"the reference classifier {name} sees another class, too: {seen}"
    return replace(one, outcome=Outcome.FAILED, message=message)
