"""The driver of the Python client: `python -m clients.conformance.drivers.python`."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

import blackbox_am
from blackbox_am.client import Candidates, Client, Study, connect
from blackbox_am.core.spec import ObjectiveSpec, SpaceSpec, from_plain, to_plain
from blackbox_am.core.types import StudyState
from blackbox_am.errors import BlackboxError
from blackbox_am.rpc import api
from clients.conformance.drivers import encoding
from clients.conformance.drivers.models import Model, ModelFault
from clients.conformance.drivers.watches import Watch

if TYPE_CHECKING:
    from clients.conformance.drivers.serving import Conformance

Plain = dict[str, Any]


class DriverFault(Exception):
    """A request that is not in the protocol."""


class Driver:
    """Carries out the verbs of the protocol; each public method is a verb."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._watches: dict[str, Watch] = {}
        self._leases: dict[str, Candidates] = {}
        self._serving = ExitStack()
        self._oracle: Conformance | None = None

    @classmethod
    def verbs(cls) -> list[str]:
        """Names of the verbs."""
        return sorted(name for name in vars(cls) if not name.startswith("_") and name != "verbs")

    # Connection

    def hello(self) -> Plain:
        return {
            "language": "python",
            "client_version": blackbox_am.__version__,
            "api_version": api.VERSION,
            "verbs": self.verbs(),
        }

    def connect(self, target: str, **access: Any) -> Plain:
        self.close()
        tls = access.pop("tls", None)
        options: Plain = {"timeout": access.pop("timeout_s", None), **access}
        if isinstance(tls, dict):
            names = {"ca": "tls", "certificate": "certificate", "key": "key"}
            options |= {names[key]: value for key, value in tls.items()}
        elif tls is not None:
            options["tls"] = tls
        self._client = connect(target, **_given(options))
        return {}

    def close(self) -> Plain:
        self._watches.clear()
        if self._client is not None:
            self._client.close()
        return {}

    def server_info(self) -> Plain:
        info = self._connected.server_info()
        return {
            "version": info.version,
            "api_version": info.api_version,
            "device": info.device,
            "features": list(info.features),
            "max_message_bytes": info.limits.max_message_bytes,
            "max_page_size": info.limits.max_page_size,
        }

    # Studies

    def create_study(
        self,
        spec: Plain,
        study_id: str | None = None,
        request_id: str | None = None,
        validate_only: bool = False,
        adopt: bool = False,
    ) -> Plain:
        options: Plain = {"study_id": study_id, "validate_only": validate_only, "adopt": adopt}
        study = self._connected.create(**_create_arguments(spec), **options)
        if request_id:
            study = self._connected.create_from(study.spec(), request_id=request_id, **options)
        seed = str(study.spec().seed) if study.id else None
        return {"study_id": study.id, "seed": seed, "population": None}

    def get_study(self, study_id: str) -> Plain:
        return {"study": encoding.progress(self._study(study_id).progress())}

    def list_studies(
        self, states: list[str] | None = None, labels: dict[str, str] | None = None
    ) -> Plain:
        wanted = [StudyState[state] for state in states or ()]
        return {
            "studies": [
                {"study_id": found.study_id, "state": encoding.word(found.state)}
                for found in self._connected.studies(wanted, labels=labels)
            ]
        }

    def pause(self, study_id: str) -> Plain:
        return {"study": encoding.progress(self._study(study_id).pause())}

    def resume(self, study_id: str) -> Plain:
        return {"study": encoding.progress(self._study(study_id).resume())}

    def cancel(self, study_id: str) -> Plain:
        return {"study": encoding.progress(self._study(study_id).cancel())}

    def extend(self, study_id: str, **budget: Any) -> Plain:
        return {"study": encoding.progress(self._study(study_id).extend(**budget))}

    def delete(self, study_id: str) -> Plain:
        self._study(study_id).delete()
        return {}

    def wait(self, study_id: str, timeout_s: float | None = None) -> Plain:
        return {"study": encoding.progress(self._study(study_id).wait(timeout_s))}

    def generations(self, study_id: str, after: int | None = None) -> Plain:
        found = self._study(study_id).generations(-1 if after is None else after)
        return {"generations": [encoding.generation(one) for one in found]}

    def best(
        self,
        study_id: str,
        stimuli: bool = False,
        dtype: str = "uint8",
        targets: list[int] | None = None,
    ) -> Plain:
        found = self._study(study_id).best(stimuli, targets=targets or (), dtype=dtype)
        return {"best": [encoding.best(one) for one in found]}

    # Ask and tell

    def ask(self, study_id: str, n: int = 0, **options: Any) -> Plain:
        renamed = {
            "stimuli": options.get("stimuli"),
            "dtype": options.get("dtype"),
            "lease": options.get("lease_s"),
        }
        wait = options.get("timeout_s")
        found = self._study(study_id).ask(n, timeout=wait or 0, **_given(renamed))
        self._leases[found.lease_id] = found
        return {
            "candidate_ids": [str(number) for number in found.ids],
            "targets": list(found.targets),
            "generation": found.generation,
            "latents": encoding.tensor(found.latents),
            "stimuli": encoding.tensor(found.stimuli),
            "lease_id": found.lease_id,
            "lease_s": found.lease_seconds,
            "state": encoding.word(found.state),
            "done": found.done,
            "retry_after_s": found.retry_after,
        }

    def tell(
        self,
        study_id: str,
        candidate_ids: list[str],
        scores: list[float | str] | None = None,
        values: Plain | None = None,
        all_units: bool = False,
    ) -> Plain:
        array = encoding.array_of(values) if values else None
        numbers = [encoding.number_of(score) for score in scores or ()]
        told = self._study(study_id).tell(
            [int(number) for number in candidate_ids],
            np.array(numbers, np.float64) if array is None else array,
            all_units=all_units,
        )
        return {
            "accepted": told.accepted,
            "repeated": told.repeated,
            "state": encoding.word(told.state),
            "generation": told.generation,
            "sequence": told.sequence,
            "done": told.done,
        }

    def renew(self, study_id: str, lease_id: str, lease_s: float) -> Plain:
        return {"held": self._study(study_id).renew(self._leases[lease_id], lease_s)}

    def ask_tell(
        self,
        study_id: str,
        model: Plain,
        input: str = "latents",  # noqa: A002  # the protocol's word
        dtype: str = "uint8",
        n: int = 0,
        pause_ms: float = 0,
    ) -> Plain:
        function = Model(model, pause_ms / 1000)
        self._study(study_id).ask_tell(function, n, stimuli=input == "stimuli", dtype=dtype)
        return {"measured": function.measured, "calls": function.calls}

    # Watch

    def watch_start(
        self,
        study_id: str,
        watch: str,
        after_sequence: int = 0,
        min_interval_s: float = 0.0,
        reconnect_s: float = 60.0,
    ) -> Plain:
        events = self._study(study_id).watch(
            after_sequence, min_interval_s, reconnect_seconds=reconnect_s
        )
        self._watches[watch] = Watch(events)
        return {}

    def watch_next(self, watch: str, count: int, timeout_s: float) -> Plain:
        return self._watches[watch].next(count, timeout_s)

    def watch_stop(self, watch: str) -> Plain:
        del self._watches[watch]
        return {}

    # Catalogue, oracles, artifacts

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

    # Serve an oracle

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

    # What stands behind

    @property
    def _connected(self) -> Client:
        if self._client is None:
            raise DriverFault("connect first")
        return self._client

    def _study(self, study_id: str) -> Study:
        return self._connected.study(study_id)


def _create_arguments(spec: Plain) -> Plain:
    arguments = _given(spec)
    arguments["targets"] = [
        ObjectiveSpec("mean", quantities=tuple(target)) if isinstance(target, list) else target
        for target in spec["targets"]
    ]
    if "space" in arguments:
        arguments["space"] = from_plain(SpaceSpec, to_plain(_given(arguments["space"])))
    if "seed" in arguments:
        arguments["seed"] = int(arguments["seed"])
    return arguments


def _given(arguments: Plain) -> Plain:
    return {key: value for key, value in arguments.items() if value is not None}


def answer(driver: Driver, request: Plain) -> Plain:
    """The answer to one request."""
    verb = request.get("do")
    arguments = _given({key: request[key] for key in request.keys() - {"id", "do"}})
    if verb not in driver.verbs():
        message = f"unknown verb {verb!r}; known: {', '.join(driver.verbs())}"
        return {"id": request["id"], "error": {"kind": "Driver", "message": message}}
    try:
        method: Callable[..., Plain] = getattr(driver, str(verb))
        return {"id": request["id"], "ok": method(**arguments)}
    except BlackboxError as error:
        return {"id": request["id"], "error": encoding.error(error)}
    except ModelFault as error:
        return {"id": request["id"], "error": {"kind": "Model", "message": str(error)}}
    except (DriverFault, KeyError, TypeError) as error:
        return {"id": request["id"], "error": {"kind": "Driver", "message": repr(error)}}


def main() -> None:
    """Answers the requests on standard input."""
    driver = Driver()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(driver, json.loads(line)), allow_nan=False) + "\n")
        sys.stdout.flush()
    driver.stop_oracle()
    driver.close()


if __name__ == "__main__":
    main()
