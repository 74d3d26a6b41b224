"""Fits a generator to the pictures of a folder, measures it, and writes it into a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from blackbox_am.catalogue import (
    folder_entry,
    folder_generator,
    is_generator_folder,
    write_manifest,
)
from blackbox_am.core.generator import Generator
from blackbox_am.errors import Conflict, InvalidInput, did_you_mean
from blackbox_am.fitting import adversarial, autoencoders, cards
from blackbox_am.fitting.images import as_stimuli, read_images
from blackbox_am.fitting.training import OnProgress, Trainer, train
from blackbox_am.generators.data.pca import COMPONENTS, principal_components

KINDS = ("pca", "vae", "vq", "gan")
GENERATORS = {"pca": "pca", "vae": "diffusers_vae", "vq": "diffusers_vq", "gan": "gan"}
MOST_FOR_PCA = 4000
"""Pictures from which components are computed; the time grows with the cube of their number."""


@dataclass(frozen=True)
class Request:
    """What is fitted to which pictures.

    Attributes:
        kind: `pca`, `vae`, `vq` or `gan`.
        images: folder of pictures.
        out: folder to write.
        size: side of the generator's pictures in pixels.
        minutes: time of the training, over all runs; `pca` needs seconds.
        components: most components of `pca`; D.
        licence: of the pictures, in the user's words; it is written on the card.
        seed: of all random numbers.
        device: of the training: `cpu` or `cuda`.
    """

    kind: str
    images: Path
    out: Path
    size: int = 128
    minutes: float = 60.0
    components: int = 256
    licence: str = ""
    seed: int = 0
    device: str = "cpu"

    def check(self) -> None:
        """Checks the request before pictures are read.

        Raises:
            InvalidInput: for an unknown kind, or a number out of range.
            Conflict: if `out` has a generator of another kind.
        """
        if self.kind not in KINDS:
            raise InvalidInput(
                f"kind: expected {', '.join(KINDS)}, got {self.kind!r}"
                f"{did_you_mean(self.kind, KINDS)}",
                field="kind",
            )
        if self.kind == "gan":
            adversarial.architecture(self.size)
        elif self.kind != "pca":
            grid = autoencoders.VAE_GRID if self.kind == "vae" else autoencoders.VQ_GRID
            autoencoders.halvings(self.size, grid)
        for name in ("size", "minutes", "components"):
            if getattr(self, name) <= 0:
                raise InvalidInput(
                    f"{name}: expected a number above 0, got {getattr(self, name)}", field=name
                )
        if is_generator_folder(self.out):
            known = folder_entry(self.out)["kind"]
            if known != GENERATORS[self.kind]:
                raise Conflict(
                    f"{self.out} has a generator of kind {known} already; name another folder"
                )


@dataclass(frozen=True)
class Fitted:
    """A generator in a folder.

    Attributes:
        folder: the folder; it is the generator's name.
        generator: the generator.
        card: the numbers on its card, see `cards.measured`.
    """

    folder: Path
    generator: Generator
    card: dict[str, Any]


def fit(
    request: Request,
    on_progress: OnProgress = lambda done, text: None,
    on_message: Callable[[str], None] = lambda text: None,
) -> Fitted:
    """Fits, measures and writes a generator.

    The folder has the weights, a card (README.md, card.json), samples of the prior (samples.png)
    and, if there is an encoder, held-out pictures above their reconstructions
    (reconstructions.png). A training that was stopped, also by a kill, continues where its last
    checkpoint was, at most a minute before, when the same request is made again.

    Raises:
        NotFound: if there is no folder of pictures.
        InvalidInput: for a wrong request, or too few pictures.
        Conflict: if the folder to write has another generator, or another training's checkpoint.
    """
    request.check()
    images = read_images(request.images, request.size, on_message)
    skipped = f", {len(images.skipped)} skipped" if images.skipped else ""
    on_message(f"{len(images)} pictures{skipped}")
    request.out.mkdir(parents=True, exist_ok=True)
    fitted, held = images.split()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(request.seed)
        paths = _written(request, images.digest, fitted, on_progress, on_message)
    cards.write_licence(request.out, request.licence)
    write_manifest(request.out, GENERATORS[request.kind], {}, paths)
    generator = folder_generator(request.out)
    on_message("measuring the generator on held-out pictures")
    card = cards.measured(generator, as_stimuli(held))
    card |= {
        "kind": request.kind,
        "pictures": len(fitted),
        "held_out": 0 if held is fitted else len(held),
        "skipped": list(images.skipped),
        "licence": request.licence,
    }
    cards.write(request.out, card)
    cards.draw(request.out, generator, as_stimuli(held))
    return Fitted(request.out, generator, card)


def _written(
    request: Request,
    digest: str,
    pixels: torch.Tensor,
    on_progress: OnProgress,
    on_message: Callable[[str], None],
) -> dict[str, str]:
    """Fits and writes the weights; returns the manifest's paths."""
    if request.kind == "pca":
        _write_components(pixels, request, on_message)
        return {"data": "."}
    device = torch.device(request.device)
    plain = {"kind": request.kind, "size": request.size, "seed": request.seed, "images": digest}
    state = train(
        _trainer(request, device),
        pixels,
        request.out,
        plain,
        minutes=request.minutes,
        device=device,
        on_progress=on_progress,
    )
    kept = {name: value.cpu() for name, value in state.items()}
    if request.kind == "gan":
        adversarial.write(kept, request.size, request.out, request.licence)
        return {"weights": adversarial.FILE}
    autoencoders.write(request.kind, kept, pixels, request.out)
    return {"weights": "."}


def _trainer(request: Request, device: torch.device) -> Trainer:
    makers: dict[str, Callable[[int, torch.device], Trainer]] = {
        "vae": autoencoders.VAETrainer,
        "vq": autoencoders.VQTrainer,
        "gan": adversarial.GanTrainer,
    }
    return makers[request.kind](request.size, device)


def _write_components(
    pixels: torch.Tensor, request: Request, on_message: Callable[[str], None]
) -> None:
    if len(pixels) > MOST_FOR_PCA:
        pixels = pixels[torch.randperm(len(pixels))[:MOST_FOR_PCA]]
        on_message(f"components are computed from {MOST_FOR_PCA} pictures, drawn at random")
    count = min(request.components, len(pixels) - 1, pixels[0].numel())
    found = principal_components(as_stimuli(pixels), count)
    found["mean"] = found["mean"].reshape(pixels.shape[1:])
    save_file(found, request.out / COMPONENTS)
