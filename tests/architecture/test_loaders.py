"""No loader of a file runs code that the file contains: each one is given booby-trapped files."""

import dataclasses
import io
import json
import os
import pickle
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am import plugins
from blackbox_am.catalogue import Catalogue
from blackbox_am.core import weights
from blackbox_am.core.rng import Stream
from blackbox_am.errors import BlackboxError

SHAPE = (1, 4, 4)
NETWORK = {"dimension": 6, "shape": SHAPE}
OF_USERS = "tests.architecture.test_loaders:Layer"
LOADERS = {
    "generators.biggan": lambda file: plugin("generators", "biggan", weights=file),
    "generators.deepsim": lambda file: plugin("generators", "deepsim", weights=file),
    "generators.diffusers_text": lambda file: plugin("generators", "diffusers_text", weights=file),
    "generators.diffusers_unconditional": lambda file: plugin(
        "generators", "diffusers_unconditional", weights=file
    ),
    "generators.diffusers_vae": lambda file: plugin("generators", "diffusers_vae", weights=file),
    "generators.diffusers_vq": lambda file: plugin("generators", "diffusers_vq", weights=file),
    "generators.exported": lambda file: plugin("generators", "exported", path=file, **NETWORK),
    "generators.gan": lambda file: plugin("generators", "gan", weights=file),
    "generators.neighbourhood": lambda file: plugin(
        "generators", "neighbourhood", inputs=file, weights=file
    ),
    "generators.onnx": lambda file: plugin("generators", "onnx", path=file, **NETWORK),
    "generators.pca": lambda file: plugin("generators", "pca", data=file, components=2),
    "generators.perturbation": lambda file: plugin("generators", "perturbation", inputs=file),
    "generators.series": lambda file: plugin(
        "generators", "series", channels=1, length=8, match=file
    ),
    "generators.series_vae": lambda file: plugin("generators", "series_vae", weights=file),
    "generators.torch_generator": lambda file: plugin(
        "generators", "torch_generator", model=OF_USERS, weights=file, **NETWORK
    ),
    "generators.torchscript": lambda file: plugin(
        "generators", "torchscript", path=file, **NETWORK
    ),
    "generators.vq_module": lambda file: plugin(
        "generators", "vq_module", decoder=OF_USERS, codebook=file, grid=(2, 2), weights=file
    ),
    "oracles.onnx": lambda file: plugin("oracles", "onnx", model=file),
    "oracles.sklearn": lambda file: plugin("oracles", "sklearn", estimator=file),
    "oracles.snn": lambda file: plugin(
        "oracles", "snn", model=OF_USERS, stimulus_shape=SHAPE, steps=2, weights=file
    ),
    "oracles.torch_module": lambda file: plugin(
        "oracles", "torch_module", model=OF_USERS, stimulus_shape=SHAPE, weights=file
    ),
    "oracles.torch_module exported": lambda file: plugin(
        "oracles", "torch_module", model=f"exported:{file}", stimulus_shape=SHAPE
    ),
    "oracles.torch_module torchscript": lambda file: plugin(
        "oracles", "torch_module", model=f"torchscript:{file}", stimulus_shape=SHAPE
    ),
    "weights": lambda file: weights.read_state(Path(file)),
    "images": lambda file: Catalogue.from_plain({"images": {"own": {"file": file}}}).images("own"),
}
FILES = {"path", "weights", "estimator", "codebook", "inputs", "data", "match"}
"""Names of parameters that name a file."""


class Layer(nn.Module):
    """The model of a user, without its weights."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 16)

    def forward(self, x):
        return self.linear(x.flatten(1)[:, :6]).reshape(-1, *SHAPE)


class Boom:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def plugin(registry, name, **parameters):
    """Makes the plug-in, and uses it."""
    found = getattr(plugins, registry).get(name)(**parameters)
    if registry == "oracles":
        return found.describe()
    return found.render(found.space.sample(Stream(0, "trial", 0), 2)[0])


def saved(thing):
    body = io.BytesIO()
    torch.save(thing, body)
    return body.getvalue()


def program():
    """The members of a program of torch.export."""
    body = io.BytesIO()
    torch.export.save(torch.export.export(Layer().eval(), (torch.zeros(2, 6),)), body)
    with zipfile.ZipFile(body) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive(members):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as target:
        for name, data in members.items():
            target.writestr(name, data)
    return body.getvalue()


def named(members, end):
    return next(name for name in members if name.endswith(end))


def exported(members, boom):
    """Programs with `boom` at each place from which `torch.export.load` unpickles."""
    inputs = named(members, "sample_inputs/model.pt")
    yield "sample", archive({**members, inputs: saved((boom,))})
    yield "old_sample", archive({**members, inputs: pickle.dumps((boom,), 0)})
    config = named(members, "weights/model_weights_config.json")
    changed = json.loads(members[config])
    for entry in changed["config"].values():
        entry["use_pickle"] = True
    folder = config.rpartition("/")[0]
    weight = f"{folder}/{next(iter(changed['config'].values()))['path_name']}"
    text = json.dumps(changed)
    yield "weight", archive({**members, config: text, weight: saved(boom)})
    name = changed["config"][next(iter(changed["config"]))]
    name["path_name"] = "w.json"  # a name does not make it text
    text = json.dumps(changed)
    yield "weight_named_json", archive({**members, config: text, f"{folder}/w.json": saved(boom)})
    constants = named(members, "constants/model_constants_config.json")
    opaque = {
        "path_name": "opaque_obj_0",
        "is_param": False,
        "use_pickle": True,
        "tensor_meta": None,
    }
    for protocol in (0, 4):
        yield (
            f"constant_{protocol}",
            archive(
                {
                    **members,
                    constants: json.dumps({"config": {"c": opaque}}),
                    f"{constants.rpartition('/')[0]}/opaque_obj_0": pickle.dumps(boom, protocol),
                }
            ),
        )
    root = inputs.partition("/")[0]
    yield "library", archive({**members, f"{root}/data/aotinductor/m/x.so": b"\x7fELF"})


@pytest.fixture(scope="module")
def harm(tmp_path_factory):
    """The folder that the code in the files makes."""
    return tmp_path_factory.mktemp("harm") / "done"


@pytest.fixture(scope="module")
def bombs(tmp_path_factory, harm):
    """Files of every format that pickle is part of."""
    folder, boom = tmp_path_factory.mktemp("bombs"), Boom(str(harm))
    array = np.array([boom], object)
    bodies = {f"pickle_{n}.pt": pickle.dumps(boom, n) for n in (0, 2, 4)}
    bodies["torch.pt"] = saved({"linear.weight": boom})
    bodies["checkpoint.ckpt"] = saved({"state_dict": boom})
    bodies["model.skops"] = archive({"schema.json": "{}", "0.npy": pickle.dumps(boom, 4)})
    for name, save in (("array.npy", np.save), ("arrays.npz", np.savez)):
        body = io.BytesIO()
        save(body, array)
        bodies[name] = body.getvalue()
    bodies |= {f"{name}.pt2": body for name, body in exported(program(), boom)}
    for name, body in bodies.items():
        (folder / name).write_bytes(body)
    return sorted(folder.iterdir())


def _costs(loader):
    """All but the loaders of programs wait for the slow suite: they import much."""
    return () if "exported" in loader else (pytest.mark.slow,)


@pytest.mark.parametrize("loader", [pytest.param(key, marks=_costs(key)) for key in LOADERS])
def test_no_loader_runs_what_a_file_contains(loader, bombs, harm):
    for bomb in bombs:
        with warnings.catch_warnings(), suppress(BlackboxError):
            warnings.simplefilter("ignore")
            LOADERS[loader](str(bomb))
        done = harm.exists()
        if done:
            harm.rmdir()
        assert not done, bomb.name


def test_the_bombs_are_live(bombs, harm):
    live = {
        "pickle_0.pt": lambda file: pickle.loads(file.read_bytes()),
        "torch.pt": lambda file: torch.load(file, weights_only=False),
        "array.npy": lambda file: np.load(file, allow_pickle=True),
        "sample.pt2": torch.export.load,
        "old_sample.pt2": torch.export.load,
        "weight.pt2": torch.export.load,
        "weight_named_json.pt2": torch.export.load,
        "constant_0.pt2": torch.export.load,
        "constant_4.pt2": torch.export.load,
    }
    for bomb in bombs:
        if bomb.name in live:
            with warnings.catch_warnings(), suppress(Exception):
                warnings.simplefilter("ignore")
                live[bomb.name](bomb)
            assert harm.exists(), bomb.name
            harm.rmdir()


def test_every_plug_in_that_reads_a_file_is_walked():
    for registry in ("generators", "oracles"):
        found = getattr(plugins, registry)
        for name in found.names():
            fields = {field.name for field in dataclasses.fields(found.get(name))}
            assert not fields & FILES or f"{registry}.{name}" in LOADERS, name
