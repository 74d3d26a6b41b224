"""Specifications: requests of callers. Frozen, validated, with a JSON schema.

They are plain data (msgspec structs), the same in Python, on the wire and in the journal.
`decode` and `from_plain` check types and ranges and name the wrong field.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from blackbox_am.core import tensors
from blackbox_am.core.explaining import explain
from blackbox_am.core.transform_spec import TransformsSpec
from blackbox_am.errors import InvalidSpec

MAX_QUERIES = 10**9
MAX_DIMENSION = 10**7
MAX_TARGETS = 10**5
MAX_BASELINE_ROWS = 10_000
MAX_DEPTH = 64
"""Largest depth of a tree of objectives or spaces; protobuf reads no message nested above 100."""
MAX_COORDINATE = 1e15
"""Largest value of a latent: the squares of 10^7 such values fit into float32."""

SpaceKind = Literal["normal", "sphere", "box", "categorical", "product"]
Dimension = Annotated[int, msgspec.Meta(ge=1, le=MAX_DIMENSION)]

T = TypeVar("T")


class SpaceSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A latent space.

    Attributes:
        kind: the prior. `normal`: standard normal. `sphere`: uniform on the sphere of
            `radius`. `box`: uniform between the bounds. `categorical`: codes
            0..categories-1, uniform. `product`: the parts, one after the other.
        dimension: D, the number of coordinates (of positions, for codes).
        radius: of the sphere; the square root of the dimension if None.
        low, high: bounds, one number each or one per coordinate.
        categories: number of codes.
        parts: of a product.
        image_shape: the latent as an image, (channels, height, width), or empty.
    """

    kind: SpaceKind
    dimension: Dimension
    radius: float | None = None
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    categories: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 0
    parts: tuple[SpaceSpec, ...] = ()
    image_shape: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=1)], ...], msgspec.Meta(max_length=8)
    ] = ()

    def __post_init__(self) -> None:
        _check_depth(self, "parts")
        if self.image_shape and math.prod(self.image_shape) != self.dimension:
            raise ValueError(
                f"image_shape {self.image_shape} has {math.prod(self.image_shape)} values, "
                f"the space has dimension {self.dimension}"
            )
        check = {
            "sphere": self._check_sphere,
            "box": self._check_box,
            "categorical": self._check_categorical,
            "product": self._check_product,
        }.get(self.kind)
        if check is not None:
            check()

    def _check_sphere(self) -> None:
        if self.radius is not None and not 0 < self.radius <= MAX_COORDINATE:
            raise ValueError(
                f"radius must be above 0 and at most {MAX_COORDINATE:g}, got {self.radius}"
            )

    def _check_box(self) -> None:
        for name, bounds in (("low", self.low), ("high", self.high)):
            if not isinstance(bounds, (tuple, list)):
                raise ValueError(  # noqa: TRY004  # as of every wrong value here
                    f"{name} must be a list of bounds, such as (0.0,), got {bounds!r}"
                )
            if len(bounds) not in (1, self.dimension):
                raise ValueError(
                    f"{name} must hold 1 or {self.dimension} bounds, got {len(bounds)}"
                )
            if not all(abs(b) <= MAX_COORDINATE for b in bounds):
                raise ValueError(f"{name} must be finite, and within {MAX_COORDINATE:g} of 0")
        n = max(len(self.low), len(self.high))
        low = self.low * n if len(self.low) == 1 else self.low
        high = self.high * n if len(self.high) == 1 else self.high
        for i, (a, b) in enumerate(zip(low, high, strict=True)):
            if not a < b:
                raise ValueError(f"bounds upside down at coordinate {i}: low {a}, high {b}")

    def _check_categorical(self) -> None:
        if self.categories < 2:
            raise ValueError(f"categories must be at least 2, got {self.categories}")

    def _check_product(self) -> None:
        total = sum(part.dimension for part in self.parts)
        if total != self.dimension:
            raise ValueError(
                f"the parts have {total} dimensions in all, the product says {self.dimension}"
            )


class ObjectiveSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An objective as a tree: leaves name quantities, `sum` and `product` combine terms.

    Attributes:
        kind: registered name of a leaf, such as `mean` or `weighted`; or `sum`, `product`.
        quantities: quantities of a leaf: units of the model and measures of the stimulus.
        weights: one weight for each quantity (`weighted`) or for each term (`sum`).
        parameters: further parameters of a leaf, by name.
        terms: children of an inner node.
    """

    kind: str
    quantities: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    terms: tuple[ObjectiveSpec, ...] = ()

    def __post_init__(self) -> None:
        _check_depth(self, "terms")


class CriterionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A success criterion as a tree: leaves name quantities, `all` and `any` combine terms.

    Attributes:
        kind: registered name of a leaf, such as `threshold`; or `all`, `any`.
        quantities: quantities of a leaf: units of the model and measures of the stimulus.
        parameters: further parameters of a leaf, by name.
        terms: children of an inner node.
    """

    kind: str
    quantities: tuple[str, ...] = ()
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    terms: tuple[CriterionSpec, ...] = ()

    def __post_init__(self) -> None:
        _check_depth(self, "terms")


class GeneratorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A generator of the catalogue, with the study's own parameters and inputs.

    In plain data, a name alone stands for the generator of the catalogue without changes.

    Attributes:
        name: its name in the catalogue.
        parameters: parameters that the study sets, by name.
        inputs: arrays of the study: parameter name -> digest of an artifact.
    """

    name: Annotated[str, msgspec.Meta(min_length=1)]
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    inputs: dict[str, str] = msgspec.field(default_factory=dict)


class ArrayData(msgspec.Struct, frozen=True, array_like=True):
    """An array inside a specification or an event."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: NDArray[Any]) -> ArrayData:
        """Packs `array`."""
        return cls(array.dtype.name, array.shape, tensors.to_bytes(array))

    def numpy(self) -> NDArray[Any]:
        """The array, read-only."""
        return tensors.from_bytes(self.dtype, self.shape, self.data)


class StartSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The start of a search, other than the prior; exactly one of the two fields.

    Attributes:
        study: a study of the same store whose best latents are the start. It has as many targets as
            this study, or one target, whose latent is the start of all.
        latents: (K, D) or (1, D) float32.
    """

    study: str = ""
    latents: ArrayData | None = None

    def __post_init__(self) -> None:
        if bool(self.study) == (self.latents is not None):
            raise ValueError("start: name a study, or give latents, one of the two")
        if self.latents is None:
            return
        values = self.latents.numpy()
        if values.ndim != 2 or values.dtype != np.float32:
            raise ValueError(
                "start.latents: expected float32 of shape (targets, dimension), got "
                f"{values.dtype.name} of shape {values.shape}"
            )
        if not (np.abs(values) <= MAX_COORDINATE).all():
            raise ValueError(f"start.latents must be finite, and within {MAX_COORDINATE:g} of 0")


class BaselineSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Natural images that a study's oracle observes before the search.

    Attributes:
        images: name of a set of images in the catalogue, such as `shipped`.
        artifact: digest of an artifact instead: images (N, channels, height, width) or stimuli
            (N, *stimulus) in numpy's format .npy, uint8 (0..255) or float32 (0..1).
        rows: largest number of images to observe, evenly spaced in the set.
        start: whether the search begins at the encoded best image of each target, if the generator
            has an encoder that reconstructs natural images well.
    """

    images: str | None = None
    artifact: str | None = None
    rows: Annotated[int, msgspec.Meta(ge=1, le=MAX_BASELINE_ROWS)] = 200
    start: bool = True

    def __post_init__(self) -> None:
        if bool(self.images) == bool(self.artifact):
            raise ValueError("baseline: name a set of images or an artifact, one of the two")


class OptimizerSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A registered optimizer and its parameters."""

    name: str = "auto"
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The limits of a study.

    Attributes:
        queries_per_target: rows observed for each target.
        seconds: duration of the search, over all runs.
        target_score: a target is finished when its best score reaches this score.
        patience: a target is finished after this many generations without a better score.
        recheck_fraction: fraction of `queries_per_target` that measures the best candidates again
            at the end. None is 0.1 if the oracle is noisy, else 0.
    """

    queries_per_target: Annotated[int, msgspec.Meta(ge=1, le=MAX_QUERIES)]
    seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    target_score: float | None = None
    patience: Annotated[int, msgspec.Meta(ge=1, le=MAX_QUERIES)] | None = None
    recheck_fraction: Annotated[float, msgspec.Meta(ge=0, lt=1)] | None = None

    def __post_init__(self) -> None:
        for name in ("seconds", "target_score"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name} must be finite, got {value}; leave it out for no limit")


class StudySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One search.

    Attributes:
        targets: one objective for each target, K in all.
        budget: the limits.
        generator: the generator; or None to search `space` itself.
        space: the latent space if there is no generator.
        oracle: registered oracle, or None if clients evaluate.
        optimizer: the optimizer.
        criteria: success criteria: none, one for all targets, or one for each target.
        seed: seed of all random numbers of the study.
        start: latents of the start; the prior if None.
        baseline: natural images to observe before the search; none if None.
        transforms: random transformations under which the oracle sees stimuli; none if None.
        keep_latents: latents in the journal: the `best` of each target, or `all`.
        labels: free key-value pairs for the caller.
        measured_for: how the accounts name the rows: those of a `search`, or the `clean` inputs of
            an attack, or what `verify` its results.
    """

    targets: tuple[ObjectiveSpec, ...]
    budget: Budget
    generator: GeneratorSpec | None = None
    space: SpaceSpec | None = None
    oracle: str | None = None
    optimizer: OptimizerSpec = OptimizerSpec()
    criteria: tuple[CriterionSpec, ...] = ()
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] = 0
    start: StartSpec | None = None
    baseline: BaselineSpec | None = None
    transforms: TransformsSpec | None = None
    keep_latents: Literal["best", "all"] = "best"
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    measured_for: Literal["search", "clean", "verify"] = "search"

    def __post_init__(self) -> None:
        check_count(len(self.targets))
        if (self.generator is None) == (self.space is None):
            raise ValueError("name a generator or a space, one of the two")
        if len(self.criteria) not in (0, 1, len(self.targets)):
            raise ValueError(
                f"criteria: expected none, one for all targets, or one for each of the "
                f"{len(self.targets)} targets, got {len(self.criteria)}"
            )
        if self.space is not None and self.oracle is not None:
            raise ValueError(
                "a study over a bare space has no stimuli for an oracle; "
                "name a generator, or leave the oracle out and evaluate with ask and tell"
            )
        if self.transforms is not None and self.oracle is None:
            raise ValueError(
                "transforms: stimuli are transformed where the oracle is asked, and clients "
                "evaluate this study; leave the transforms out, and transform on your side"
            )


def check_count(targets: int) -> None:
    """Checks the number of targets of a study.

    Raises:
        InvalidSpec: for none, or too many.
    """
    if not 1 <= targets <= MAX_TARGETS:
        raise InvalidSpec(
            f"targets must be 1 to {MAX_TARGETS} objectives, got {targets}", field="targets"
        )


def start_spec(start: str | NDArray[Any] | None) -> StartSpec | None:
    """A start from its short form: a study's id, or latents (K, D) or (D,).

    Raises:
        InvalidSpec: if numbers are not finite, or if there are too many axes.
    """
    if start is None:
        return None
    if isinstance(start, str):
        return from_plain(StartSpec, {"study": start})
    try:
        rows = np.atleast_2d(np.asarray(start, dtype=np.float32))
    except (TypeError, ValueError):
        rows = np.empty((0, 0, 0), np.float32)
    if rows.ndim != 2:
        shape = np.shape(start) if rows.size else ()
        given = f"an array of shape {shape}" if shape else type(start).__name__
        raise InvalidSpec(
            "start: expected the id of a study, a result, or latents of shape (dimension,) or "
            f"(targets, dimension), got {given}; the search starts at latents, such as "
            "result.best[0].latent, and a stimulus can be given as baseline=stimulus[None]",
            field="start",
        )
    return from_plain(StartSpec, {"latents": to_plain(ArrayData.of(rows))})


def from_plain(spec_type: type[T], plain: Any) -> T:
    """A specification from dicts and lists. A study's generator can be a name alone.

    Raises:
        InvalidSpec: if it is wrong; the message names the field, what was expected and what came.
    """
    if spec_type is StudySpec and isinstance(plain, dict):
        name = plain.get("generator")
        if isinstance(name, str):
            plain = plain | {"generator": {"name": name}}
    try:
        return msgspec.convert(plain, spec_type, strict=True)
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        sentence, field = explain(spec_type, plain, str(error))
        raise InvalidSpec(sentence, field=field) from error


def to_plain(spec: Any) -> Any:
    """A specification as dicts and lists."""
    return msgspec.to_builtins(spec)


def _check_depth(node: Any, children: str) -> None:
    """Refuses the tree under `node` if it is deeper than `MAX_DEPTH`."""
    if not getattr(node, children):
        return
    level = [node]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in getattr(parent, children)]
        if not level:
            return
    raise InvalidSpec(
        f"{children} may be nested {MAX_DEPTH} deep at most; put more of them side by side",
        field=children,
    )
