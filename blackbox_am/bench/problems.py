"""Problems of the benchmarks: units of real networks behind real decoders.

The shipped models are always available. A folder of assets adds a ResNet-20 that classifies
CIFAR-10 (`cifar10_resnet20.safetensors`, in the layout of akamaster/pytorch_resnet_cifar10),
MANGO's vector-quantised autoencoder (see `mango`), the test images for natural maxima
(`cifar10_test_1000.npz`), and the problem `squeezenet` of 227x227 pixels (see `squeezenet`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from blackbox_am import plugins
from blackbox_am.bench import mango, squeezenet
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.generator import Generator
from blackbox_am.core.natural import has_ratios
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import read_setting
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput, NotFound
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.zoo import loading
from blackbox_am.zoo.nets import CifarResNet

SHIPPED = "cifar_"
"""Prefix of the shipped models' names; the names of problems omit it."""
RESNET = "resnet20"
RESNET_FILE = "cifar10_resnet20.safetensors"
TEST_FILE = "cifar10_test_1000.npz"
RESNET_UNITS = (
    "head:0", "layer3.1.conv2:7@center", "layer2.1.conv2:5@center", "layer1.1.conv2:3@center",
    "head:3", "layer3.1.conv2:23@center", "layer2.1.conv2:12@center", "layer1.1.conv2:8@center",
    "head:5", "layer3.2.conv1:41@center", "layer2.2.conv1:17@center", "layer1.2.conv1:1@center",
    "head:7", "layer3.2.conv1:11@center", "layer2.2.conv1:29@center", "layer1.2.conv1:12@center",
    "head:9", "layer3.1.conv2:55@center", "layer2.1.conv2:24@center", "layer1.1.conv2:14@center",
    "head:1", "layer3.0.conv1:30@center", "layer2.0.conv2:9@center", "layer1.0.conv1:5@center",
    "head:6", "layer3.2.conv2:48@center", "layer2.2.conv2:3@center", "layer1.2.conv2:10@center",
    "head:2", "layer3.0.conv2:19@center", "layer2.0.conv1:21@center", "layer1.0.conv2:11@center",
    "head:8", "layer3.1.conv1:34@center", "layer2.1.conv1:6@center", "layer1.1.conv1:2@center",
)  # fmt: skip
"""Logits and channels of three stages, ordered so that every prefix is a mixture."""
SHIPPED_UNITS = {
    "cifar_cnn": ("head:3", "layer3.1.conv1:9@center", "layer2.1.conv1:5@center", "head:8",
                  "layer1.0.conv1:3@center", "head:1", "layer3.1.conv1:30@center", "head:6",
                  "layer2.0.conv1:14@center", "layer3.0.conv1:21@center", "head:4",
                  "layer1.0.conv1:11@center", "layer2.1.conv2:20@center", "head:9",
                  "layer3.0.conv2:50@center", "head:0", "layer3.1.conv2:60@center",
                  "layer2.0.conv2:2@center", "head:5", "layer1.0.conv2:8@center"),
    "cifar_vit": ("head:3", "blocks.3.mlp.fc1:7@cls", "head:8", "blocks.1.mlp.fc1:19@cls",
                  "head:1", "blocks.2.mlp.fc1:40@cls", "head:6", "head:0",
                  "blocks.3.mlp.fc1:88@cls", "blocks.1.mlp.fc1:52@cls", "head:4",
                  "blocks.2.mlp.fc1:75@cls", "blocks.3.mlp.fc1:120@cls", "head:9",
                  "blocks.0.mlp.fc1:33@cls", "blocks.2.mlp.fc1:101@cls", "head:5",
                  "blocks.1.mlp.fc1:90@cls", "head:2", "blocks.3.mlp.fc1:61@cls"),
}  # fmt: skip
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
NATURAL_BATCH = 100
RATIO, STANDARDISED = "activation over natural maximum", "standardised activation"
"""Scales of activations, see `Problem.scale`."""


@dataclass(frozen=True)
class Problem:
    """Units of an oracle behind a generator.

    Attributes:
        name: names of oracle and generator, as `ORACLE+GENERATOR`.
        oracle: the oracle.
        generator: the generator.
        units: the units to maximise; each is one target.
        images: (N, 3, 32, 32) natural images in [0, 1].
    """

    name: str
    oracle: Oracle
    generator: Generator
    units: tuple[Unit, ...]
    images: torch.Tensor

    @cached_property
    def natural(self) -> torch.Tensor:
        """(N, units) float64: the activations of each unit for the natural images."""
        with torch.no_grad():
            batches = [
                self.oracle.observe(batch, self.units)
                for batch in torch.split(self.images, NATURAL_BATCH)
            ]
        return torch.cat(batches).to(torch.float64)

    @cached_property
    def natural_maxima(self) -> torch.Tensor:
        """(units,) float64: the largest activation of each unit over the natural images."""
        return self.natural.amax(0)

    @property
    def natural_best(self) -> torch.Tensor:
        """(units,) int64: the number of the natural image with the largest activation."""
        return self.natural.argmax(0)

    @cached_property
    def has_ratios(self) -> bool:
        """Whether activations are given over natural maxima. If one maximum is not above 0, all
        units have standardised activations instead.
        """
        return has_ratios(self.natural.T.numpy())

    @property
    def scale(self) -> str:
        """The scale of the activations, for headings."""
        return RATIO if self.has_ratios else STANDARDISED

    @cached_property
    def zero_and_one(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(units,) float64 each: the activation that is 0 on the scale, and the distance from there
        to the activation that is 1.
        """
        if self.has_ratios:
            return torch.zeros_like(self.natural_maxima), self.natural_maxima
        return self.natural.mean(0), self.natural.std(0)

    def relative(self, activations: torch.Tensor) -> torch.Tensor:
        """Activations (..., units) on the scale, in float64."""
        zero, one = self.zero_and_one
        return (activations.to(torch.float64) - zero) / one


def names(assets: Path | None) -> str:
    """The available oracles and generators, for messages."""
    generators = [name.removeprefix(SHIPPED) for name in Catalogue.default().generator_names()]
    oracles = list(SHIPPED_UNITS)
    if assets is not None:
        generators += [*mango.LATENTS, *squeezenet.GENERATORS]
        oracles += [SHIPPED + RESNET, SHIPPED + squeezenet.NAME]
    words = [oracle.removeprefix(SHIPPED) for oracle in oracles]
    return f"ORACLE+GENERATOR, of {', '.join(words)} and of {', '.join(generators)}"


def rendering(shape: tuple[int, ...]) -> list[str]:
    """The shipped generators with continuous latents whose stimuli have this shape."""
    catalogue = Catalogue.default()
    found = {name: catalogue.generator(name) for name in catalogue.generator_names()}
    return [
        name.removeprefix(SHIPPED)
        for name, made in found.items()
        if made.stimulus_shape == shape and made.space.kind != "categorical"
    ]


def usual_generators(oracle: str) -> list[str]:
    """The generators whose stimuli the oracle of this name takes, as far as they need no file."""
    if oracle == squeezenet.NAME:
        return list(squeezenet.GENERATORS)
    return rendering((3, 32, 32))


def problem(name: str, units: int, assets: Path | None, first: int = 0) -> Problem:
    """The problem of this name, with `units` of its units from number `first` on.

    Raises:
        InvalidInput: if the name is unknown or the problem has fewer units.
        NotFound: if the assets lack a file.
    """
    oracle, _, rendered = name.partition("+")
    if not rendered:
        raise _nothing(name, assets)
    made = generator(rendered, assets)
    found = _with_assets(oracle, assets) if oracle in _OF_ASSETS else _shipped(oracle)
    if found is None:
        raise _nothing(name, assets)
    model, addresses, images = found
    if made.stimulus_shape != model.describe().stimulus_shape:
        raise InvalidInput(
            f"{name}: {rendered} makes stimuli of shape {made.stimulus_shape}, {oracle} takes "
            f"{model.describe().stimulus_shape}",
            field="problem",
        )
    if not first < first + units <= len(addresses):
        after = f" after the first {first}" if first else ""
        raise InvalidInput(
            f"{name} has 1 to {len(addresses) - first} units{after}, got {units}", field="units"
        )
    chosen = tuple(Unit.parse(unit) for unit in addresses[first : first + units])
    return Problem(name, model, made, chosen, images)


def generator(name: str, assets: Path | None) -> Generator:
    """The generator of this name: `vae`, or with wrappers `vae/basis,power=0.25`.

    Raises:
        InvalidInput: if the name is unknown.
        InvalidSpec: if a wrapper is unknown or a parameter is wrong.
    """
    name, *wrappers = name.split("/")
    found = _unwrapped(name, assets)
    for label in wrappers:
        kind, parameters = parsed_label(label)
        found = plugins.wrap_generator(found, kind, parameters)
    return found


def parsed_label(label: str) -> tuple[str, dict[str, Any]]:
    """Name and parameters of a plug-in's label, such as `snes,population=40`.

    Raises:
        InvalidInput: if a parameter has no value.
    """
    name, *settings = label.split(",")
    parameters: dict[str, Any] = {}
    for setting in settings:
        found = read_setting(setting)
        if found is None:
            raise InvalidInput(f"{label}: expected NAME,PARAMETER=VALUE,..., got {setting!r}")
        parameters[found[0]] = found[1]
    return name, parameters


def _unwrapped(name: str, assets: Path | None) -> Generator:
    if name in mango.LATENTS and assets is not None:
        return mango.generator(assets, mango.LATENTS[name])
    if name in squeezenet.GENERATORS and assets is not None:
        return squeezenet.generator(name, assets)
    catalogue = Catalogue.default()
    for known in (SHIPPED + name, name):
        if known in catalogue.generator_names():
            return catalogue.generator(known)
    raise _nothing(name, assets)


def _nothing(name: str, assets: Path | None) -> InvalidInput:
    return InvalidInput(
        f"unknown problem {name!r}; expected {names(assets)}"
        + ("" if assets is not None else "; --assets adds more"),
        field="problem",
    )


_Model = tuple[Oracle, tuple[str, ...], torch.Tensor]
"""An oracle, its units' addresses, and natural images."""


def _shipped(name: str) -> _Model | None:
    units = SHIPPED_UNITS.get(SHIPPED + name)
    if units is None:
        return None
    return Catalogue.default().oracle(SHIPPED + name), units, as_stimuli(loading.probe_images()[0])


_OF_ASSETS = (RESNET, squeezenet.NAME)
"""Oracles that need a folder of assets."""


def _with_assets(oracle: str, assets: Path | None) -> _Model | None:
    if assets is None:
        return None
    if oracle == squeezenet.NAME:
        return squeezenet.oracle(assets), squeezenet.UNITS, squeezenet.photos(assets)[0]
    return resnet20(assets), RESNET_UNITS, pictures(assets / TEST_FILE)[0]


def pictures(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Stimuli (N, 3, 32, 32) float32 in [0, 1] and labels (N,) int64 of an npz file.

    Raises:
        NotFound: if the file does not exist.
    """
    with np.load(_existing(path), allow_pickle=False) as archive:
        return as_stimuli(archive["x"]), torch.from_numpy(archive["y"]).long()


def resnet20(assets: Path) -> TorchModule:
    """The ResNet-20 of `assets`, on the CPU.

    Raises:
        NotFound: if `assets` lacks the weights.
    """
    model = CifarResNet((16, 32, 64), (3, 3, 3), shortcut="pad")
    ours = {"conv1": "stem", "bn1": "stem_bn", "linear": "head"}
    state = {}
    for key, value in load_file(_existing(assets / RESNET_FILE)).items():
        first, _, rest = key.partition(".")
        state[f"{ours.get(first, first)}.{rest}"] = value
    model.load_state_dict(state, strict=False)  # the file lacks the batch norms' counters
    # channels_last is a quarter faster on a CPU.
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TorchModule(model, (3, 32, 32), MEAN, STD, device="cpu")


def as_stimuli(images: NDArray[np.uint8]) -> torch.Tensor:
    """Stimuli (N, C, H, W) float32 in [0, 1] from images (N, H, W, C)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise NotFound(f"the assets lack {path.name}; --assets must name the folder of this file")
    return path
