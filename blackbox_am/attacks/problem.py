"""What an attack may do, and how each attack searches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, get_args

from blackbox_am.errors import InvalidInput, InvalidSpec, Unsupported, did_you_mean

Norm = Literal["linf", "l2", "l0"]
NORMS: tuple[Norm, ...] = get_args(Norm)
DISTANCES: Mapping[Norm, str] = {
    "linf": "stimulus.linf_distance",
    "l2": "stimulus.l2_distance",
    "l0": "stimulus.l0_distance",
}
"""The measure of the distance from the clean input, by norm."""


@dataclass(frozen=True)
class Method:
    """How an attack searches.

    Attributes:
        norms: the balls that it can search.
        needs: what it must be told about a row: the scores of all classes, the predicted label
            alone, or gradients.
        latents: what its latents are: `ball`, the change itself in units of the ball; `range`, any
            change of the input, for an attack that begins outside the ball and comes closer;
            `squashed`, numbers of a normal prior that are squashed into the ball, coarser than the
            input if the input is an image.
        takes_norm: whether the norm is one of its parameters.
        radius_parameter: its parameter that is the ball's radius, a whole number; empty for none.
        targeted: its parameters in a targeted attack, where they are not given.
        targeted_objective: what it maximises in a targeted attack, if it learns from scores.
    """

    norms: tuple[Norm, ...]
    needs: Literal["scores", "labels", "gradients"] = "scores"
    latents: Literal["ball", "range", "squashed"] = "ball"
    takes_norm: bool = True
    radius_parameter: str = ""
    targeted: Mapping[str, Any] = field(default_factory=dict)
    targeted_objective: Literal["margin", "cross_entropy"] = "margin"


METHODS: Mapping[str, Method] = {
    "square": Method(
        ("linf", "l2"),
        targeted={"budget": 10_000, "share": 0.1, "aspect": 16.0},
        targeted_objective="cross_entropy",
    ),
    "signhunter": Method(("linf", "l2")),
    "simba": Method(("linf", "l2")),
    "nes": Method(("linf", "l2")),
    "bandits": Method(("linf", "l2")),
    "parsimonious": Method(("linf",), takes_norm=False),
    "sparse_rs": Method(("l0",), takes_norm=False, radius_parameter="pixels"),
    "patch": Method(("l0",), takes_norm=False, radius_parameter="pixels"),
    "rays": Method(("linf",), "labels", "range", takes_norm=False),
    "hopskipjump": Method(("linf", "l2"), "labels", "range"),
    "pgd": Method(("linf", "l2"), "gradients"),
    "apgd": Method(("linf", "l2"), "gradients"),
}
"""The optimizers that are made for attacks."""
BEST_WITH_SCORES: Mapping[Norm, str] = {"linf": "signhunter", "l2": "square", "l0": "sparse_rs"}
BEST_TARGETED: Mapping[Norm, str] = {"linf": "square"}
BEST_WITH_LABELS: Mapping[Norm, str] = {"linf": "rays", "l2": "hopskipjump"}
"""The choice of `auto` by norm, for models that tell scores (of targeted attacks, where it is
another one) and for models that tell labels."""
OTHER = Method(NORMS, "scores", "squashed", takes_norm=False)
"""How every other optimizer attacks."""


def method_of(attack: str) -> Method:
    """How the optimizer `attack` searches."""
    return METHODS.get(attack, OTHER)


@dataclass(frozen=True)
class Problem:
    """One attack, without its inputs and its model.

    Attributes:
        norm: the norm of the change.
        eps: the greatest change, in units of an input in [0, 1] such as 8/255; for `l0` a number
            of places.
        attack: name of the optimizer; `auto` chooses by what the model answers and by the norm.
        parameters: of the optimizer.
        budget: greatest number of search rows for each input.
        targeted: whether the model must answer with a chosen class.
        bits: bits of the values of an adversarial input; 0 for real numbers.
        seed: determines every random number.
        tiles: numbers of tiles in each direction, from coarse to fine, for an optimizer that
            searches tiles of an image: the budget is divided equally, and each part begins at the
            best of the part before. Empty for one number that follows from the image's size.

    Raises:
        InvalidInput: for an unknown norm, an `eps` out of range, a budget below 1, or tiles that
            do not rise or that the attack does not search.
        InvalidSpec: if the attack cannot search the ball.
    """

    norm: Norm = "linf"
    eps: float = 8 / 255
    attack: str = "auto"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    budget: int = 2000
    targeted: bool = False
    bits: int = 8
    seed: int = 0
    tiles: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise InvalidInput(
                f"norm: expected {', '.join(NORMS)}, got {self.norm!r}"
                f"{did_you_mean(str(self.norm), NORMS)}",
                field="norm",
            )
        check_eps(self.norm, self.eps)
        if self.budget < 1:
            raise InvalidInput(f"budget: expected 1 row or more, got {self.budget}", field="budget")
        self._check_tiles()
        if self.attack != "auto" and self.norm not in method_of(self.attack).norms:
            raise InvalidSpec(
                f"{self.attack} searches {' and '.join(method_of(self.attack).norms)} balls, got "
                f"norm {self.norm!r}; {_instead(self.norm)}",
                field="attack",
            )

    def _check_tiles(self) -> None:
        if not self.tiles:
            return
        rising = all(one < other for one, other in pairwise(self.tiles))
        if self.tiles[0] < 1 or not rising:
            raise InvalidInput(
                "tiles: expected numbers of tiles from coarse to fine, such as 4, 16, got "
                f"{', '.join(map(str, self.tiles))}",
                field="tiles",
            )
        if len(self.tiles) > self.budget:
            raise InvalidInput(
                f"tiles: expected at most one number for each of {self.budget} queries, got "
                f"{len(self.tiles)}",
                field="tiles",
            )
        searches = method_of(self.attack).latents == "squashed" and self.norm != "l0"
        if self.attack != "auto" and not searches:
            raise InvalidInput(
                f"tiles: {self.attack} does not search tiles in {self.norm}; use sep_cma or "
                "another general optimizer, with linf or l2",
                field="tiles",
            )


def check_eps(norm: Norm, eps: float) -> None:
    """Check the radius of a ball.

    Raises:
        InvalidInput: if it is not finite, not above 0, or larger than any change can be.
    """
    if norm == "l0":
        good, expected = eps >= 1 and eps == int(eps), "for l0 a number of places, 1 or more"
    elif norm == "linf":
        good, expected = 0 < eps <= 1, "for linf above 0 and at most 1, such as 8/255"
    else:
        good, expected = 0 < eps < math.inf, "for l2 above 0, such as 1.0"
    if not good:
        hint = ""
        if norm != "l0" and eps == 0:
            hint = "; with 0 nothing may change, and the clean accuracy is the answer"
        elif norm == "linf" and 1 < eps <= 255:
            hint = f"; inputs are in [0, 1]: if you mean steps of 255, give {eps:g}/255"
        raise InvalidInput(f"eps: expected {expected}, got {eps:g}{hint}", field="eps")


def chosen(problem: Problem, *, labels_only: bool, oracle: str) -> str:
    """The optimizer of an attack: that of the problem, or the choice of `auto`, which is the attack
    with the smallest median of queries in `bench attacks`.

    Raises:
        Unsupported: if the attack needs scores, and the model answers with labels only.
    """
    if problem.attack == "auto":
        best = BEST_WITH_LABELS if labels_only else BEST_WITH_SCORES
        if problem.targeted and not labels_only:
            best = {**best, **BEST_TARGETED}
        if problem.norm not in best:
            raise Unsupported(
                f"no attack changes {problem.norm} by labels alone, which are all that {oracle} "
                f"tells; use norm {' or '.join(best)}",
                field="norm",
            )
        return best[problem.norm]
    needs = method_of(problem.attack).needs
    if labels_only and needs != "labels":
        able = [name for name, method in METHODS.items() if method.needs == "labels"]
        raise Unsupported(
            f"{problem.attack} learns from {needs}, and {oracle} answers with a label only; use "
            f"{' or '.join(able)}, or auto",
            field="attack",
        )
    return problem.attack


def _instead(norm: Norm) -> str:
    able = [name for name, method in METHODS.items() if norm in method.norms]
    return f"for {norm} use {', '.join(able)}, or a general optimizer such as sep_cma"
