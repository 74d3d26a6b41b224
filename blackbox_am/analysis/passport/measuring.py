"""Measuring the passports of units together, so that they share stimuli."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from blackbox_am.analysis.attribution.occlusion import occlusion
from blackbox_am.analysis.passport.excited import (
    Excited,
    Features,
    excited,
    plausibility_of,
)
from blackbox_am.analysis.passport.layer import layer_flags
from blackbox_am.analysis.passport.passport import Passport
from blackbox_am.analysis.passport.passports import Passports
from blackbox_am.analysis.passport.tuning import tunings
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.generator import Generator
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import check
from blackbox_am.core.types import Accounting, FloatArray
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, Unsupported
from blackbox_am.evaluation import kid
from blackbox_am.results import Result
from blackbox_am.studies.local import maximise

_SHARED = (
    "The account below is that of the receptive field. The account of the index has all: the "
    "stimuli that all units share, and the searches."
)

OnUnit = Callable[[str], None]


def passports(
    oracle: Oracle,
    units: Sequence[str | Unit],
    natural: Any,
    *,
    generator: Generator | None = None,
    study: Result | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    queries: int = 100,
    penalties: Mapping[str, float] | None = None,
    extremes: int = 8,
    tuning: bool = True,
    field: bool = True,
    features: Features | None = None,
    on_part: OnUnit = lambda part: None,
) -> Passports:
    """The passports of units.

    Args:
        oracle: any oracle of images (1 or 3 channels, height, width).
        units: addresses, usually of one layer: duplicates are looked for among them.
        natural: (N, *stimulus) natural stimuli, 10 or more.
        generator: searches this generator for each seed; no search if None and no study is given.
        study: a finished study of the same units, whose results are taken instead of a search.
        seeds: of the searches.
        queries: of each unit and seed.
        penalties: of the searches, such as ``{"latent.norm": 1.0}``, which keeps latents near the
            prior, outside of which the stimuli of a generator are not natural.
        extremes: natural stimuli at both ends.
        tuning: whether to measure tuning curves: 644 rows or so, shared by all units.
        field: whether to measure the receptive field of each unit by occlusion: one row and
            one for each window, 226 in all for 32 x 32 pixels.
        features: (N, F) of stimuli, of a network outside the search, for the plausibility; those of
            the shipped vision transformer for images of 3 channels if None.
        on_part: called with the name of each part before it is measured.

    Returns:
        Passports, in the order of the units.

    Raises:
        Unsupported: for stimuli that are no images.
        InvalidSpec: for too few natural stimuli, or a study of other units.
        ShapeMismatch, UnknownUnit, OracleFailed: see `Subject`.
    """
    check(extremes >= 1, "extremes", "1 or more", extremes)
    subject = Subject(oracle, units, method="passport")
    if len(subject.info.stimulus_shape) != 3 or subject.info.stimulus_shape[0] not in (1, 3):
        raise Unsupported(
            f"passport: expected images of 1 or 3 channels, and the stimuli of this "
            f"{subject.info.kind} oracle have shape {subject.info.stimulus_shape}; use sobol and "
            "occlusion, which take series and table rows"
        )
    shown = subject.stimuli(natural)
    on_part("natural stimuli")
    scores = subject.measure(shown)
    flags = layer_flags(scores)
    on_part("tuning curves")
    tuned = tunings(subject) if tuning else [()] * len(subject.units)
    spent = subject.spent
    on_part("searches")
    found, cost = _searched(
        subject, shown, scores, generator, study, seeds, queries, penalties, features
    )
    spent += cost
    made = []
    for place, unit in enumerate(subject.units):
        on_part(f"receptive field of {unit}")
        order = np.argsort(-scores[:, place], kind="stable")
        top, bottom = order[:extremes], order[::-1][:extremes]
        map_of = occlusion(oracle, unit, shown[top[0]]) if field else None
        spent += Accounting() if map_of is None else map_of.spent
        made.append(
            Passport(
                method="passport",
                subject=str(unit),
                model=subject.name,
                parameters={"natural stimuli": len(shown), "queries of each seed": queries},
                spent=Accounting() if map_of is None else map_of.spent,
                scores=scores[:, place],
                top=shown[top].numpy(),
                bottom=shown[bottom.copy()].numpy(),
                top_places=top,
                bottom_places=bottom.copy(),
                tuning=tuned[place],
                field=None if map_of is None else map_of.values,
                excited=tuple(one[place] for one in found),
                flags=flags.of(place),
                twins=tuple(str(subject.units[twin]) for twin in flags.twins(place)),
                notes=(_SHARED,),
            )
        )
    layers = ", ".join(dict.fromkeys(unit.layer for unit in subject.units))
    return Passports(
        method="passport",
        subject=layers,
        model=subject.name,
        parameters={"natural stimuli": len(shown), "seeds": tuple(seeds), "queries": queries},
        spent=spent,
        units=tuple(made),
        layer=flags,
    )


def _searched(
    subject: Subject,
    shown: torch.Tensor,
    scores: FloatArray,
    generator: Generator | None,
    study: Result | None,
    seeds: Sequence[int],
    queries: int,
    penalties: Mapping[str, float] | None,
    features: Features | None,
) -> tuple[list[list[Excited]], Accounting]:
    """For each seed what was found for each unit, and what it cost."""
    if generator is None and study is None:
        return [], Accounting()
    maxima = scores.max(0).tolist()
    if features is None and subject.info.stimulus_shape[0] == 3:
        features = kid.features
    plausible = None if features is None else plausibility_of(features, shown)
    if study is not None:
        if [one.title for one in study.best] != [str(unit) for unit in subject.units]:
            raise InvalidSpec(
                "study: expected the results of the units in their order, "
                f"{', '.join(map(str, subject.units[:3]))}, ..., got "
                f"{', '.join(one.title for one in study.best[:3])}, ...",
                field="study",
            )
        return [excited(study.best, None, maxima, plausible)], Accounting()
    found, spent = [], Accounting()
    for seed in seeds:
        result = maximise(
            oracle=subject.oracle,
            generator=generator,  # type: ignore[arg-type]  # it is given
            targets=[str(unit) for unit in subject.units],
            queries_per_target=queries,
            penalties=penalties,
            seed=seed,
            progress=False,
        )
        spent += result.progress.spent
        found.append(excited(result.best, seed, maxima, plausible))
    return found, spent
