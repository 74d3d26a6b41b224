"""Models in diffusers' layout: their location, their configuration, and their loading."""

from __future__ import annotations

import json
import threading
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from blackbox_am.core.generator import Generator, bounded
from blackbox_am.core.weights import few
from blackbox_am.errors import BlackboxError, InvalidSpec, NotFound, StoreCorrupt, did_you_mean
from blackbox_am.generators._cards import card_licence
from blackbox_am.generators._slices import Slices
from blackbox_am.zoo import catalogue

ZOO = "zoo:"
LOADING = threading.Lock()
UNREADABLE = "Unable to load weights"
"""Part of diffusers' message about an existing file that cannot be read. Its error has the same
class as the error for a missing file.
"""


class Loaded(Generator):
    """A generator whose network is read from files at its first use, and then moved.

    The generator renders in slices of at most `rows` rows, if it has this parameter.
    """

    @property
    def differentiable(self) -> bool:
        """Whether `render` carries gradients: unless latents are codes."""
        return getattr(self, "latent", "") != "codes"

    @property
    def licence(self) -> str:
        """The licence: for zoo weights, that of the zoo; for a folder, the `license: ...` line of
        its model card.
        """
        weights = getattr(self, "weights", "")
        if weights.startswith(ZOO):
            return catalogue.LICENCE
        return card_licence(Path(weights))

    def contents(self) -> Mapping[str, object]:
        weights = getattr(self, "weights", "")
        return {"weights": weights_files(weights)} if weights else {}

    def to(self, device: torch.device | str) -> None:
        self._net.to(device)

    @abstractmethod
    def _load(self) -> torch.nn.Module:
        """The whole decoder, from latents to stimuli, on the CPU."""

    @cached_property
    def _net(self) -> Any:
        with LOADING:
            known = vars(self)
            if "_net" not in known:
                known["_net"] = self._load().eval().requires_grad_(False)
            return known["_net"]

    @cached_property
    def _slices(self) -> Slices:
        return Slices(getattr(self, "rows", 0))


def weights_files(weights: str) -> tuple[Path, ...]:
    """The files and folders of `weights`, for a digest of their contents.

    Args:
        weights: `zoo:NAME`, a file (with the JSON file of the same name, if there is one), a
            folder, or the name of a downloaded model.

    Raises:
        NotFound: if there is none of these.
    """
    if weights.startswith(ZOO):
        return tuple(catalogue.files(weights.removeprefix(ZOO)))
    path = Path(weights)
    if path.is_dir():
        return (path,)
    if path.is_file():
        beside = path.with_suffix(".json")
        return (path, beside) if beside.is_file() else (path,)
    from huggingface_hub import snapshot_download

    try:
        return (Path(snapshot_download(weights, local_files_only=True)),)
    except (OSError, ValueError) as error:
        raise NotFound(
            f"weights {weights!r}: expected zoo:NAME, a file, a folder, or the name of a model "
            "that was downloaded before",
            field="weights",
        ) from error


def read_json(weights: str, file: str) -> dict[str, Any]:
    """The content of `file`, such as `unet/config.json`, of the model `weights`.

    Args:
        weights: `zoo:NAME`, a folder in `save_pretrained`'s layout, or the name of a model
            on the hub that was downloaded before.
        file: its path in the model's folder.

    Raises:
        NotFound: if the folder, zoo entry, downloaded model or file does not exist.
        InvalidSpec: if the file is not a JSON object.
    """
    path = _local_file(weights, file)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(
            f"weights {weights!r}: expected a folder with {file}, as save_pretrained "
            "writes it; there is none",
            field="weights",
        ) from error
    except ValueError as error:
        raise InvalidSpec(
            f"weights {weights!r}: {file} is no JSON: {error}", field="weights"
        ) from error
    if not isinstance(values, dict):
        raise InvalidSpec(
            f"weights {weights!r}: expected {file} to hold a JSON object, got "
            f"{type(values).__name__}",
            field="weights",
        )
    return values


def place(weights: str, file: str) -> str:
    """The argument of `from_pretrained` for `weights`: the folder that contains `file`, or the name
    on the hub.
    """
    if not weights.startswith(ZOO):
        return weights
    return str(_local_file(weights, file).parents[file.count("/")])


def load_part(weights: str, part: str, owner: Any) -> torch.nn.Module:
    """The model in the folder `part` (empty: the model's own) of `weights`: float32, eval
    mode, on the CPU, its parameters frozen.

    Args:
        weights: as for `read_json`.
        part: the folder inside it.
        owner: its class, with diffusers' or transformers' `from_pretrained`.

    Raises:
        NotFound: if weights are missing.
        InvalidSpec: if the weights cannot be read, or do not fit the configuration. The message
            names the tensors.
        StoreCorrupt: the same for zoo weights. The message contains the remedy.
    """
    where = f"weights {weights!r}" + (f", {part}" if part else "")
    ours = owner.__module__.startswith("diffusers")
    folder = place(weights, f"{part}/config.json" if part else "config.json")
    try:
        model, told = owner.from_pretrained(
            folder,
            subfolder=part,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported, and refused below
            **({"low_cpu_mem_usage": False, "torch_dtype": torch.float32} if ours else {}),
        )
    except OSError as error:
        if UNREADABLE in str(error):
            raise _unfit(weights, f"{where}: the weights are damaged: {error}") from error
        raise NotFound(
            f"{where}: expected {'diffusion_pytorch_' if ours else ''}model.safetensors beside "
            f"config.json, as save_pretrained writes them: {error}",
            field="weights",
        ) from error
    except Exception as error:  # readers of weights raise many kinds of errors
        raise _unfit(
            weights,
            f"{where}: the weights do not fit their configuration, or are damaged: {error}",
        ) from error
    faults = _faults(told)
    if faults:
        raise _unfit(weights, f"{where}: the weights do not fit their configuration; {faults}")
    loaded: torch.nn.Module = (model if ours else model.float()).eval().requires_grad_(False)
    return loaded


def diffusers_class(weights: str, name: Any, method: str) -> Any:
    """Diffusers' class called `name`, which must have a `method`.

    Raises:
        InvalidSpec: if the class does not exist, or has no such method.
    """
    import diffusers

    found = getattr(diffusers, name, None) if isinstance(name, str) else None
    if not isinstance(found, type):
        near = did_you_mean(str(name), dir(diffusers))
        raise InvalidSpec(
            f"weights {weights!r}: their configuration names the class {name!r}, and diffusers "
            f"has none of that name{near}",
            field="weights",
        )
    if not hasattr(found, method):
        raise InvalidSpec(
            f"weights {weights!r}: their configuration names {name}, which cannot {method}",
            field="weights",
        )
    return found


def _unfit(weights: str, message: str) -> BlackboxError:
    """The error for weights that are not what their configuration says."""
    if weights.startswith(ZOO):
        cure = catalogue.entry(weights.removeprefix(ZOO)).cure
        return StoreCorrupt(f"{message}; {cure}")
    return InvalidSpec(message, field="weights")


def _faults(told: dict[str, Any]) -> str:
    """A text that names weights that are missing, unused or of another shape; empty without such
    weights.
    """
    return "; ".join(
        f"{word} {few(sorted(_name(key) for key in told[name]))}"
        for name, word in (
            ("missing_keys", "lacking"),
            ("unexpected_keys", "not known to the configuration:"),
            ("mismatched_keys", "of another shape:"),
        )
        if told.get(name)
    )


def _name(key: Any) -> str:
    """A key, or the key in (key, shape found, shape expected)."""
    return str(key if isinstance(key, str) else key[0])


def _local_file(weights: str, file: str) -> Path:
    if weights.startswith(ZOO):
        return catalogue.path(weights.removeprefix(ZOO)) / file
    if Path(weights).is_dir():
        return Path(weights) / file
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(weights, file, local_files_only=True))
    except (OSError, ValueError) as error:
        raise NotFound(
            f"weights {weights!r}: expected zoo:NAME, a folder in save_pretrained's layout, or "
            f"the name of a model that was downloaded before, with {file}",
            field="weights",
        ) from error


def per_channel(numbers: tuple[float, ...]) -> torch.Tensor:
    """(1, C, 1, 1) float32."""
    return torch.tensor(numbers, dtype=torch.float32).reshape(1, -1, 1, 1)


def to_stimuli(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures in about [-1, 1] to stimuli in [0, 1]. Values outside are clipped, and values that
    are not finite become nan.
    """
    return bounded(pictures / 2 + 0.5)
