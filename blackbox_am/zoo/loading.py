"""Loads entries of the zoo as PyTorch modules or arrays.

The import of PyTorch and diffusers takes seconds; a function imports them when it loads a model.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_am.errors import InvalidSpec, NotFound, StoreCorrupt
from blackbox_am.zoo import catalogue
from blackbox_am.zoo.catalogue import Entry, Kind

if TYPE_CHECKING:
    from torch import nn

    from blackbox_am.zoo.architecture import Architecture


def _entry_of(name: str, kind: Kind) -> Entry:
    item = catalogue.entry(name)
    if item.kind != kind:
        fitting = ", ".join(n for n in catalogue.names() if catalogue.entry(n).kind == kind)
        raise NotFound(f"zoo entry {name!r} is of kind {item.kind!r}; of kind {kind!r}: {fitting}")
    return item


def fill(net: nn.Module, weights: Path, cure: str) -> None:
    """Load a safetensors file into a net, set it to evaluation mode and freeze it.

    Values are converted to float32; the zoo stores half precision to keep the package small. The
    step counters of batch norms may be absent.

    Args:
        net: The net, on the CPU.
        weights: The file.
        cure: The remedy for a wrong file, as the end of the error message.

    Raises:
        StoreCorrupt: The file cannot be read or contains other tensors; the message names keys
            and shapes.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from blackbox_am.core.weights import misfit

    try:
        stored = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise StoreCorrupt(f"{weights} is damaged ({error}); {cure}") from error
    state = {key: value.float() for key, value in stored.items()}
    wrong = misfit(net, state)
    if wrong:
        raise StoreCorrupt(f"{weights} contains other tensors than expected: {wrong}; {cure}")
    net.load_state_dict(state, strict=False)
    net.eval().requires_grad_(False)


def _fill(item: Entry, net: nn.Module) -> None:
    fill(net, catalogue.file(item.name, item.files[0]), item.cure)


def load_classifier(name: str) -> nn.Module:
    """Load a classifier in evaluation mode, float32, on the CPU, parameters frozen.

    Args:
        name: ``"cifar_cnn"``, ``"cifar_vit"`` or ``"cbf_cnn"``.

    Returns:
        A module from stimuli ``(B, *input_shape)``, normalised by the entry's mean and std, to
        one logit for each label. Gradients with respect to the stimuli are available.

    Raises:
        NotFound: The name is unknown or not a classifier, or the weights are absent.
        StoreCorrupt: The weights are damaged.
    """
    item = _entry_of(name, "classifier")
    from blackbox_am.zoo.nets import CifarResNet, CifarViT
    from blackbox_am.zoo.series import SeriesCNN

    builders: dict[str, Callable[[], nn.Module]] = {
        "cifar_cnn": CifarResNet,
        "cifar_vit": CifarViT,
        "cbf_cnn": SeriesCNN,
    }
    net = builders[name]()
    _fill(item, net)
    return net


def load_autoencoder(name: str) -> Any:
    """Load a diffusers autoencoder in evaluation mode, float32, on the CPU, parameters frozen.

    diffusers' own ``from_pretrained`` also reads the folder ``path(name)``.

    Args:
        name: ``"cifar_vae"`` (``AutoencoderKL``) or ``"cifar_vq"`` (``VQModel``).

    Returns:
        The model; pictures are ``(B, 3, 32, 32)`` in [-1, 1], latents ``(B, *latent_shape)``.
        Decoded values can lie slightly outside the range; clip them.

    Raises:
        NotFound: The name is unknown or not an autoencoder, or a file is absent.
        StoreCorrupt: The weights or the configuration are damaged.
    """
    item = _entry_of(name, "autoencoder")
    found = catalogue.file(name, item.files[1])
    from diffusers import AutoencoderKL, VQModel

    builder: Any = VQModel if item.codes else AutoencoderKL
    try:
        config = json.loads(found.read_text(encoding="utf-8"))
        net = builder.from_config(config)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreCorrupt(f"{found} is damaged ({error}); {item.cure}") from error
    _fill(item, net)
    return net


def load_decoder(name: str) -> nn.Module:
    """Load a decoder in evaluation mode, float32, on the CPU, parameters frozen.

    Args:
        name: ``"cifar_sngan"`` or ``"cbf_vae"``.

    Returns:
        A module from latents ``(B, D)`` to pictures ``(B, 3, 32, 32)`` in [-1, 1], or to series
        ``(B, 1, 128)`` in [0, 1].

    Raises:
        NotFound: The name is unknown or not a decoder, or a file is absent.
        StoreCorrupt: The weights or the metadata are damaged.
    """
    item = _entry_of(name, "decoder")
    from blackbox_am.zoo.gans import GanArchitecture
    from blackbox_am.zoo.series import SeriesArchitecture

    kinds: dict[str, type[Architecture]] = {
        "cifar_sngan": GanArchitecture,
        "cbf_vae": SeriesArchitecture,
    }
    try:
        net = kinds[name].from_plain(catalogue.metadata(name).get("architecture")).build()
    except InvalidSpec as error:
        found = catalogue.file(name, item.files[-1])
        raise StoreCorrupt(f"{found} is damaged ({error}); {item.cure}") from error
    _fill(item, net)
    return net


def probe_images() -> tuple[np.ndarray, np.ndarray]:
    """The natural images of the zoo, for baselines.

    Returns:
        Images uint8 ``(200, 32, 32, 3)`` and labels int64 ``(200,)``, 20 of each class, sorted
        by label.

    Raises:
        NotFound: The file is absent.
        StoreCorrupt: The file is damaged.
    """
    item = _entry_of("probe_images", "images")
    found = catalogue.file(item.name, item.files[0])
    try:
        # Opened here, because numpy leaves its own handle open if the file is not an archive.
        with found.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            x, y = archive["x"], archive["y"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StoreCorrupt(f"{found} is damaged ({error}); {item.cure}") from error
    if x.shape[1:] != (32, 32, 3) or x.dtype != np.uint8 or y.shape != (len(x),):
        raise StoreCorrupt(f"{found} contains arrays of another shape; {item.cure}")
    return x, y.astype(np.int64)
