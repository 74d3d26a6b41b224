"""The verbs of the protocol about the catalogue, oracles and artifacts, for the Python client."""

from __future__ import annotations

import base64
from contextlib import ExitStack
from typing import TYPE_CHECKING

from clients.conformance.drivers import encoding
from clients.conformance.drivers.session import Plain, Session

if TYPE_CHECKING:
    from clients.conformance.drivers.serving import Conformance


class CatalogueVerbs(Session):
    """Lists, samples, renders and observes, and serves an oracle."""

    def __init__(self) -> None:
        super().__init__()
        self._serving = ExitStack()
        self._oracle: Conformance | None = None

    def list_oracles(self) -> Plain:
        return {"names": [found.name for found in self._connected.oracles()]}

    def list_generators(self) -> Plain:
        return {"names": [found.name for found in self._connected.generators()]}

    def list_optimizers(self) -> Plain:
        return {"names": [found.name for found in self._connected.optimizers()]}

    def list_units(self, oracle: str, layer: str | None = None) -> Plain:
        return {"units": self._connected.units(oracle, layer)}

    def sample(self, generator: str, count: int, seed: str) -> Plain:
        found = self._connected.sample(generator, count, seed=int(seed))
        return {"latents": encoding.tensor(found)}

    def render(self, generator: str, latents: Plain, dtype: str = "uint8") -> Plain:
        found = self._connected.render(generator, encoding.array_of(latents), dtype=dtype)
        return {"stimuli": encoding.tensor(found)}

    def observe(self, oracle: str, stimuli: Plain, units: list[str]) -> Plain:
        found = self._connected.observe(oracle, encoding.array_of(stimuli), units)
        return {"activations": encoding.tensor(found)}

    def describe_oracle(self, oracle: str) -> Plain:
        info = self._connected.oracle_info(oracle)
        return {
            "kind": info.kind,
            "deterministic": info.deterministic,
            "stimulus_shape": list(info.stimulus_shape),
            "capabilities": sorted(flag.name or "" for flag in info.capabilities),
            "batch_size": info.batch_size,
            "fingerprint": info.fingerprint,
            "layers": [
                {
                    "name": layer.name,
                    "kind": layer.kind,
                    "shape": list(layer.shape),
                    "axes": list(layer.axes),
                    "units": layer.units,
                }
                for layer in info.layers
            ],
        }

    def write_artifact(self, data: str) -> Plain:
        return {"digest": self._connected.write_artifact(base64.b64decode(data))}

    def read_artifact(self, digest: str) -> Plain:
        return {"data": base64.b64encode(self._connected.read_artifact(digest)).decode()}

    def serve_oracle(
        self,
        name: str,
        model: str,
        stimulus_shape: list[int],
        units: int,
        port: int = 0,
        error: str = "",
    ) -> Plain:
        from clients.conformance.drivers.serving import Conformance, serving  # imports torch

        self._oracle = Conformance(model, tuple(stimulus_shape), units, error)
        return {"address": self._serving.enter_context(serving(name, self._oracle, port))}

    def stop_oracle(self) -> Plain:
        self._serving.close()
        counts = self._oracle.counts if self._oracle is not None else None
        return {"calls": counts.calls, "rows": counts.rows} if counts else {}
