"""A comparison in one call, in this process."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from blackbox_am.catalogue import Catalogue
from blackbox_am.comparisons.examining import examine
from blackbox_am.comparisons.local_runner import LocalRunner, Models
from blackbox_am.comparisons.problem import ComparisonSpec, MethodSpec, spec_of
from blackbox_am.comparisons.results import ComparisonResult
from blackbox_am.comparisons.run import Compared, collected, plan_of, run
from blackbox_am.comparisons.saving import write_all
from blackbox_am.core.devices import resolve_device
from blackbox_am.core.generator import Generator
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.pictures import Pictures
from blackbox_am.core.spec import to_plain
from blackbox_am.core.transform import Transform
from blackbox_am.core.transform_spec import TransformSpec, TransformsSpec, transforms_plain
from blackbox_am.core.types import StudyProgress
from blackbox_am.errors import BlackboxError, InvalidInput
from blackbox_am.stores import SQLStore
from blackbox_am.studies import local
from blackbox_am.studies.given import baseline_of, generator_of, oracle_of, plain

log = logging.getLogger(__name__)

JOURNAL = "journal.sqlite3"
"""The file of the journal in the folder of a report."""


def compare(
    *,
    oracle: Oracle | str | torch.nn.Module | Callable[..., Any],
    generator: Generator | str,
    units: str | Sequence[str] = (),
    layers: str | Sequence[str] = (),
    units_per_layer: int = 5,
    methods: str | Sequence[str | Mapping[str, Any] | MethodSpec] = (),
    budget: int = 1000,
    seeds: int | Sequence[int] = 5,
    name: str = "comparison",
    tuning_units: str | Sequence[str] = (),
    against: str = "",
    random_search: bool = True,
    baseline: Pictures | None = "shipped",
    baseline_rows: int = 200,
    recheck_fraction: float | None = None,
    penalties: Mapping[str, float] | None = None,
    transforms: TransformsSpec | Sequence[str | TransformSpec | Transform] | None = None,
    copies: int | None = None,
    reference_seeds: int = 1,
    second: Oracle | str | None = None,
    independent: Oracle | str | None = None,
    out: str | Path | None = None,
    catalogue: Catalogue | None = None,
    device: str = "auto",
    on_progress: Callable[[str, StudyProgress], None] = lambda stage, progress: None,
    on_message: Callable[[str], None] = log.warning,
) -> ComparisonResult:
    """Compares search methods, such as gradient ascent with gradient-free search, on the same
    units, generator, start distribution and budget.

    Each method and seed is one study of all units. With `out`, all studies are journalled there,
    and a repeated call continues them; a call with further methods or seeds keeps the studies that
    are the same. A method that needs gradients is shown as unavailable where there are none.

    Args:
        oracle: the model, or its name in the catalogue; also a torch module, a fitted estimator or
            a function of stimuli, as for `maximise`.
        generator: the generator of stimuli, or its name.
        units: the units that are searched, or expressions such as `head:3 - 0.5*head:5`. Without
            them, they are chosen from `layers`.
        layers, units_per_layer: layers, and the number of units of each; see `ComparisonSpec`.
        methods: names of optimizers, or `MethodSpec` or its fields as a mapping; without any
            `adam`, `sep_cma` and `auto`.
        budget: query-equivalents for each unit and seed: 1 for a forward pass, 2 for a forward and
            a backward pass.
        seeds: their number, or the seeds.
        name: of the comparison.
        tuning_units: units on which parameters were tuned; none of them may be searched.
        against: the method with which the others are compared; the first one with gradients if
            empty.
        random_search: whether a random search is added, where no method is one.
        baseline: natural images, as for `maximise`: the name of a set, a folder or an array; None
            for none.
        baseline_rows: largest number of images of a set.
        recheck_fraction, penalties, transforms, copies: as of `maximise`, the same for all methods.
        reference_seeds: number of seeds of the references, such as the random search.
        second: another model, to which what was found is shown (transfer).
        independent: a model whose features say how natural a stimulus is (plausibility).
        out: folder for the journal, the results and the report; None keeps nothing.
        catalogue: the catalogue in which names are looked up; the shipped models if None.
        device: `cpu`, `cuda`, or `auto`.
        on_progress: called after each generation with the name of the stage and the progress.
        on_message: as of `maximise`.

    Raises:
        InvalidInput, NotFound: for a comparison that cannot work.
        ModelChanged: if `out` has studies of this comparison with another model or generator.
        OracleError: if the model fails at the natural images or random latents.
    """
    catalogue, device = catalogue or Catalogue.default(), resolve_device(device)
    maker = generator_of(generator, catalogue)
    model = oracle_of(oracle, maker, catalogue, device)
    given = None if isinstance(baseline, str) and not baseline else baseline
    natural, images = baseline_of(given, catalogue, tuple(maker.stimulus_shape))
    values = {
        "oracle": oracle if isinstance(oracle, str) else local.kind_of(model),
        "generator": generator if isinstance(generator, str) else maker.kind,
        "units": _listed(units),
        "layers": _listed(layers),
        "units_per_layer": units_per_layer,
        "budget": budget,
        "seeds": list(seeds) if isinstance(seeds, Iterable) else seeds,
        "name": name,
        "tuning_units": _listed(tuning_units),
        "against": against,
        "random_search": random_search,
        "baseline": "" if natural is None else natural.images or "",
        "baseline_rows": baseline_rows,
        "recheck_fraction": recheck_fraction,
        "penalties": dict(penalties or {}),
        "transforms": transforms_plain(transforms, copies),
        "reference_seeds": reference_seeds,
        "second": _named(second),
        "independent": _named(independent),
    }
    if methods:
        values["methods"] = [_method(one) for one in _listed(methods)]
    return compare_as(
        spec_of(plain(values)),
        models=Models(
            model,
            maker,
            images,
            "" if natural is None else natural.artifact or "",
            _oracle(second, catalogue),
            _oracle(independent, catalogue),
            catalogue,
            device,
        ),
        out=out,
        on_progress=on_progress,
        on_message=on_message,
    )


def compare_as(
    spec: ComparisonSpec,
    *,
    models: Models,
    out: str | Path | None,
    measure: bool = True,
    on_progress: Callable[[str, StudyProgress], None] = lambda stage, progress: None,
    on_message: Callable[[str], None] = log.warning,
) -> ComparisonResult:
    """The same as `compare`, for a specification and its models.

    Args:
        spec: the comparison.
        models: what its names stand for.
        out: folder of the journal, the results and the report; None keeps nothing.
        measure: whether the studies are run; else the result is what is stored in `out`.
        on_progress, on_message: as of `compare`.
    """
    models, store = models.halved(), ":memory:"
    if out is not None:
        store = os.fspath(_folder(out) / JOURNAL)
    with closing(SQLStore(store)) as opened:
        runner = LocalRunner(models, opened, on_progress, on_message)
        plan = plan_of(spec, runner)
        compared = run(plan, runner) if measure else collected(plan, runner)
    result = examined(compared, models)
    if out is not None:
        write_all(result, out)
    return result


def examined(compared: Compared, models: Models) -> ComparisonResult:
    """The result with the measurements of what was found. A model that fails or that does not fit
    is a warning, so that the searches are not lost.
    """
    natural, result = compared.natural.stimuli, compared.result
    try:
        return examine(
            result,
            oracle=models.oracle,
            generator=models.generator,
            second=models.second,
            independent=models.independent,
            natural=natural if len(natural) else None,
        )
    except BlackboxError as error:
        text = f"the measurements of what was found are missing: {error.message}"
        return replace(result, warnings=(*result.warnings, text))


def models_of(
    spec: ComparisonSpec,
    catalogue: Catalogue,
    device: str = "auto",
    *,
    oracle: Oracle | None = None,
) -> Models:
    """The models that a specification names.

    Args:
        spec: the comparison.
        catalogue: the catalogue in which names are looked up.
        device: `cpu`, `cuda`, or `auto`.
        oracle: the model, in place of that of the catalogue.

    Raises:
        NotFound: for a name that is not in the catalogue; the message lists similar names.
        InvalidSpec, ShapeMismatch: for natural images that cannot become stimuli.
    """
    device = resolve_device(device)
    maker = catalogue.generator(spec.generator)
    return Models(
        oracle or catalogue.oracle(spec.oracle),
        maker,
        catalogue.images(spec.baseline) if spec.baseline else None,
        "",
        _oracle(spec.second or None, catalogue),
        _oracle(spec.independent or None, catalogue),
        catalogue,
        device,
    )


def _folder(out: str | Path) -> Path:
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"out: the folder {out} cannot be made: {error.strerror}; choose another place",
            field="out",
        ) from error
    return Path(out)


def _listed(given: str | Sequence[Any]) -> list[Any]:
    """A list of one or several; a text is one."""
    return [given] if isinstance(given, str) else list(given)


def _oracle(given: Oracle | str | None, catalogue: Catalogue) -> Oracle | None:
    return catalogue.oracle(given) if isinstance(given, str) and given else given or None


def _named(given: Oracle | str | None) -> str:
    if given is None or isinstance(given, str):
        return given or ""
    return local.kind_of(given)


def _method(given: str | Mapping[str, Any] | MethodSpec) -> Any:
    if isinstance(given, str):
        return {"name": given}
    return to_plain(given) if isinstance(given, MethodSpec) else dict(given)
