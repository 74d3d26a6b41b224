"""Generators as studies set them: by name, with parameters and with arrays from the store."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.artifacts import Artifacts
from blackbox_am.core.generator import Generator
from blackbox_am.core.spec import GeneratorSpec
from blackbox_am.errors import BlackboxError, InvalidSpec
from blackbox_am.rpc import tensors
from blackbox_am.v1.tensor_pb2 import Tensor

KEPT = 16
"""Generators with settings of a study that are kept in memory."""


class Generators:
    """Finds the generators of studies, and moves each to the server's device once.

    Args:
        catalogue: has them by name.
        artifacts: has the arrays that studies bring.
        device: where they compute.
    """

    def __init__(self, catalogue: Catalogue, artifacts: Artifacts, device: str) -> None:
        self._catalogue = catalogue
        self._artifacts = artifacts
        self._device = device
        self._moved: set[str] = set()
        self._set: OrderedDict[bytes, Generator] = OrderedDict()
        self._moving = threading.Lock()
        self._setting = threading.Lock()

    def get(self, wanted: str | GeneratorSpec) -> Generator:
        """The generator of that name, or with the settings of a study.

        Raises:
            NotFound: where the catalogue has none of that name.
            InvalidSpec: for settings that it does not take, or an input that is not in the store
                or holds no array.
        """
        spec = GeneratorSpec(wanted) if isinstance(wanted, str) else wanted
        if not spec.parameters and not spec.inputs:
            return self._named(spec.name)
        key = msgspec.msgpack.encode(spec, order="deterministic")
        with self._setting:
            if key not in self._set:
                inputs = {name: self._array(name, spec.inputs[name]) for name in spec.inputs}
                made = self._catalogue.generator(spec.name, spec.parameters, inputs)
                made.to(self._device)
                self._set[key] = made
            self._set.move_to_end(key)
            while len(self._set) > KEPT:
                self._set.popitem(last=False)
            return self._set[key]

    def _named(self, name: str) -> Generator:
        generator = self._catalogue.generator(name)
        with self._moving:
            if name not in self._moved:
                generator.to(self._device)
                self._moved.add(name)
        return generator

    def _array(self, name: str, digest: str) -> NDArray[Any]:
        field = f"generator.inputs.{name}"
        try:
            message = Tensor.FromString(self._artifacts.get(digest))
            return tensors.from_proto(message, field=field)
        except DecodeError as error:
            raise InvalidSpec(
                f"{field}: artifact {digest[:80]} is no serialised Tensor ({error}); write the "
                "array as one",
                field=field,
            ) from error
        except BlackboxError as error:
            raise InvalidSpec(f"{field}: {error.message}", field=field) from error
