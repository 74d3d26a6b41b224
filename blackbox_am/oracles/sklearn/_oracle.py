"""A fitted estimator of scikit-learn, or of a library that follows its conventions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.capability import Capability
from blackbox_am.core.columns import TableSchema, schema_of
from blackbox_am.core.digests import Digest, Unnamed
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, MissingExtra, NotFound, OracleFailed
from blackbox_am.oracles._inputs import check_positive, checked_shape
from blackbox_am.oracles._reading import LayerReading
from blackbox_am.oracles.sklearn._rows import Rows, StretchedRows, TableRows

Array = NDArray[Any]

_WRAPPERS = {
    "xgboost.Booster": (
        (
            "model = xgboost.XGBClassifier() (or XGBRegressor()); booster.save_model('b.json'); "
            "model.load_model('b.json')"
        ),
        "booster.inplace_predict",
    ),
    "lightgbm.Booster": (
        "fit lightgbm.LGBMClassifier (or LGBMRegressor) with the same parameters",
        "booster.predict",
    ),
}
"""The way to an estimator, and the function of the native class, by native class."""
METHODS = ("decision_function", "predict_proba", "predict")


@dataclass(frozen=True)
class Sklearn(Oracle):
    """A fitted estimator. Each of the following methods that the estimator has is a layer.

    ``decision_function``  (N, classes), or (N, 1) for two classes and for outlier detectors
    ``predict_proba``      (N, classes)
    ``predict``            of a classifier (N, classes), 1 for the predicted class and 0 for the
                           others; of other estimators (N, outputs)

    So `predict_proba:3` is a unit, and its label is the name of class 3. Numbers are float64,
    as the estimator gives them.

    An estimator of a table is best given the columns: ``Sklearn(model, table=Table.of(frame))``.
    Integers, categories and texts then reach it exactly, with the dtypes of the frame: a score
    is what the estimator says of `Table.frame` of the stimulus. Without columns, stimuli are
    flattened to rows of float64 and stretched from [0, 1] to the range of each feature; an
    estimator that was fitted on named columns gets a DataFrame with these names.

    A file must be one that skops wrote, which holds no code, unlike pickle and joblib. Types that
    skops does not trust must be named in `trusted`. Trees are such a type
    (`sklearn.tree._tree.Tree`), because a forged tree could read memory outside its arrays. An
    estimator can also be converted to ONNX with skl2onnx (`zipmap` off), for the oracle `onnx`.

    Attributes:
        estimator: the fitted estimator; in a configuration file the path of a `.skops` file.
        stimulus_shape: shape of one stimulus; (features,) unless given.
        table: the columns of a table, in place of `low` and `high`: a `Table` generator, its
            columns, or the DataFrame that the estimator was fitted on.
        low: the feature value for a stimulus value of 0, one number or one for each feature.
        high: the feature value for a stimulus value of 1, one number or one for each feature.
        trusted: additional types that are allowed in the file.
        batch_size: preferred rows in one call.

    Raises:
        InvalidSpec: if `estimator` is not an estimator, or for numbers that do not fit together.
    """

    kind: ClassVar[str] = "sklearn"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"trusted", "batch_size"})

    estimator: Any
    stimulus_shape: tuple[int, ...] = ()
    table: Any = ()
    low: tuple[float, ...] = (0.0,)
    high: tuple[float, ...] = (1.0,)
    trusted: tuple[str, ...] = ()
    batch_size: int = 256

    def __post_init__(self) -> None:
        check_positive("batch_size", self.batch_size)
        if self.stimulus_shape:
            object.__setattr__(self, "stimulus_shape", checked_shape(self.stimulus_shape))
        for field in ("low", "high"):
            if not np.isfinite(getattr(self, field)).all():
                raise InvalidSpec(f"{field}: expected finite numbers", field=field)
        if isinstance(self.table, tuple) and not self.table:
            return
        object.__setattr__(self, "table", schema_of(self.table).columns)
        if self.low != (0.0,) or self.high != (1.0,):
            raise InvalidSpec(
                "table: it has the bounds of every feature; leave low and high out", field="table"
            )

    def contents(self) -> Mapping[str, object]:
        if isinstance(self.estimator, (str, Path)):
            return {"estimator": Path(self.estimator)}
        return {"estimator": _content_of(self.estimator)}

    def describe(self) -> OracleInfo:
        """The layers of the estimator, found by a call with one row.

        Raises:
            NotFound: if the file does not exist.
            MissingExtra: if a file is given and skops is not installed.
            InvalidSpec: if the file cannot be trusted, or the estimator is not fitted or
                does not fit the other parameters.
        """
        return self._info

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """As `Oracle.observe`; on the device of `stimuli`, without gradients.

        Raises:
            OracleFailed: if the estimator raises.
        """
        check_stimuli(self._info, stimuli)
        check_units(self._info, units)
        answer = torch.empty(len(stimuli), len(units), dtype=torch.float64)
        if len(stimuli) and units:
            rows = self._form(_flat(stimuli.detach().cpu().numpy()))
            for layer in self._info.layers:
                columns = [c for c, unit in enumerate(units) if unit.layer == layer.name]
                if columns:
                    values = torch.from_numpy(self._call(layer.name, rows))
                    answer[:, columns] = LayerReading(layer, [units[c] for c in columns])(values)
        return answer.to(stimuli.device)

    def _call(self, method: str, rows: Any) -> Array:
        """(N, units) float64: the result of a method for rows (N, features)."""
        try:
            answer = getattr(self._fitted, method)(rows)
        except Exception as error:  # foreign code may raise anything
            raise OracleFailed(
                f"{self._name}.{method} raised {type(error).__name__} on {len(rows)} rows of "
                f"{rows.shape[1]} features: {error}{self._rows.cure}"
            ) from error
        if isinstance(answer, list):
            raise OracleFailed(
                f"{self._name}.{method} answers for {len(answer)} outputs at once; give the "
                "estimator of one output, such as estimator.estimators_[0]"
            )
        answer = np.asarray(answer)
        if answer.ndim == 1:
            answer = answer[:, np.newaxis]
        if method == "predict" and self._classes is not None:
            answer = answer == self._classes
        if answer.ndim != 2 or len(answer) != len(rows) or answer.dtype.kind not in "fiub":
            raise OracleFailed(
                f"{self._name}.{method} answered with {answer.dtype.name} of shape "
                f"{answer.shape}; expected numbers in {len(rows)} rows"
            )
        numbers: Array = answer.astype(np.float64)
        return numbers

    @cached_property
    def _rows(self) -> Rows:
        names = getattr(self._fitted, "feature_names_in_", None)
        named = None if names is None else [str(name) for name in names]
        if self.table:
            return TableRows(TableSchema(self.table), named)
        return StretchedRows(self.low, self.high, named)

    @cached_property
    def _form(self) -> Rows:
        """The rows that the estimator takes, tried with one."""
        method = self._methods[0]
        try:
            self._call(method, self._rows(self._probe))
        except OracleFailed:
            for form in self._rows.other_forms():
                with suppress(OracleFailed):
                    self._call(method, form(self._probe))
                    return form
            raise
        return self._rows

    @cached_property
    def _fitted(self) -> Any:
        if not isinstance(self.estimator, (str, Path)):
            return self.estimator
        try:
            from skops import io
        except ImportError as error:
            raise MissingExtra.of("skops", "sklearn") from error
        path = Path(self.estimator)
        if not path.is_file():
            raise NotFound(f"estimator: there is no file {path}", field="estimator")
        try:
            unknown = sorted(set(io.get_untrusted_types(file=path)) - set(self.trusted))
            if not unknown:
                return io.load(path, trusted=list(self.trusted))
        except Exception as error:  # skops, zipfile, json and the loaded types
            raise InvalidSpec(
                f"estimator: cannot read {path} as a file of skops: {type(error).__name__}: "
                f"{error}; write it with skops.io.dump",
                field="estimator",
            ) from error
        raise InvalidSpec(
            f"estimator: {path} holds types that are not known to be harmless: "
            f"{', '.join(unknown)}; where you trust who wrote it, name them in `trusted`",
            field="trusted",
        )

    @cached_property
    def _classes(self) -> Array | None:
        classes = getattr(self._fitted, "classes_", None)
        return None if classes is None or isinstance(classes, list) else np.asarray(classes)

    @cached_property
    def _info(self) -> OracleInfo:
        rows = self._form(self._probe)
        layers = [self._layer(name, self._call(name, rows).shape[1]) for name in self._methods]
        return OracleInfo(
            self.kind,
            Capability.SCORES,
            self._shape,
            tuple(layers),
            batch_size=self.batch_size,
        )

    @property
    def _probe(self) -> Array:
        """One stimulus with the lowest value of each feature. These values are whole numbers and
        valid codes for integer and categorical features.
        """
        return np.zeros((1, prod(self._shape)))

    @cached_property
    def _methods(self) -> list[str]:
        wrapper = _WRAPPERS.get(f"{type(self._fitted).__module__.partition('.')[0]}.{self._name}")
        if wrapper is not None:
            estimator, function = wrapper
            raise InvalidSpec(
                f"estimator: a native {self._name} does not have the methods of scikit-learn. Give "
                f"the wrapper of its library: {estimator}; or its function as the oracle: "
                f"Function({function}, (features,))",
                field="estimator",
            )
        methods = [name for name in METHODS if hasattr(self._fitted, name)]
        if not methods or not isinstance(self._columns, (int, np.integer)):
            raise InvalidSpec(
                f"estimator: expected a fitted estimator with one of {', '.join(METHODS)}, got "
                f"{self._name}" + ("; fit it first" if methods else ""),
                field="estimator",
            )
        return methods

    @property
    def _columns(self) -> Any:
        """How many columns the estimator was fitted on."""
        return getattr(self._fitted, "n_features_in_", None)

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        """The shape of one stimulus."""
        _ = self._methods
        if self.table:
            features = len(TableSchema(self.table).features)
            of = f"the table has {features} features"
            if features != self._columns:
                raise InvalidSpec(
                    f"table: {self._name} was fitted on {self._columns} columns, and the table "
                    f"makes {features}; give Table.of the frame that it was fitted on",
                    field="table",
                )
        else:
            features = int(self._columns)
            of = f"{self._name} was fitted on {features} features"
        shape = self.stimulus_shape or (features,)
        if prod(shape) != features:
            raise InvalidSpec(
                f"stimulus_shape: {of}, and {shape} has {prod(shape)}", field="stimulus_shape"
            )
        self._check_ranges(features)
        return shape

    def _layer(self, method: str, units: int) -> LayerInfo:
        labels: tuple[str, ...] = ()
        if self._classes is not None:
            names = tuple(str(name) for name in self._classes)
            # With two classes, the single number of decision_function is the score of the second
            # class.
            labels = names[1:] if units == 1 and len(names) == 2 else names
        fits = len(labels) == units
        return LayerInfo(method, "scores", (units,), ("unit",), labels=labels if fits else ())

    def _check_ranges(self, features: int) -> None:
        for field in ("low", "high"):
            numbers = getattr(self, field)
            if len(numbers) not in (1, features):
                raise InvalidSpec(
                    f"{field}: expected 1 or {features} numbers, one a feature, got {len(numbers)}",
                    field=field,
                )

    @property
    def _name(self) -> str:
        return type(self._fitted).__name__


def _content_of(estimator: Any) -> Digest | Unnamed:
    """Digest of an estimator in memory: of the bytes of its pickle. Nothing is unpickled."""
    from joblib import hash as digest

    try:
        return Digest(digest(estimator))
    except Exception:  # noqa: BLE001  # whatever an object that cannot be pickled raises
        return Unnamed.of(estimator)


def _flat(stimuli: Array) -> Array:
    return stimuli.reshape(len(stimuli), -1)
