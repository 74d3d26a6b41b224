"""The card of a fitted generator: its measured quality, its licence, and pictures to look at."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from blackbox_am.core.generator import Generator
from blackbox_am.core.rng import Stream
from blackbox_am.evaluation import kid
from blackbox_am.generators._cards import CARD

SAMPLES = 200
"""Samples of the prior whose distance to natural pictures is measured."""
SHOWN = 32
COLUMNS = 8
BATCH = 50


def measured(generator: Generator, held: torch.Tensor) -> dict[str, Any]:
    """The numbers of a card, as plain data.

    Args:
        generator: the generator.
        held: (N, *stimulus) natural pictures in [0, 1] that it was not fitted to.

    Returns:
        `dimension`, D; `kid`, the kernel inception distance x 1000 between `SAMPLES` samples of the
        prior and the natural pictures, with `kid_error`, its standard error; with an encoder
        `psnr`, the peak signal-to-noise ratio in dB of natural pictures that are encoded and
        rendered, `l1`, their mean absolute error, and `psnr_of_mean`, the ratio for the mean of the
        natural pictures in place of each.
    """
    space = generator.space
    found: dict[str, Any] = {"dimension": space.dim, "shape": list(generator.stimulus_shape)}
    samples = rendered(generator, space.sample(Stream(0, "card", 0), SAMPLES)[0])
    distance = kid.distance(kid.features(samples), kid.features(held))
    found |= {"kid": round(1000 * distance.value, 1), "kid_error": round(1000 * distance.error, 1)}
    if generator.encodes:
        error = reproduced(generator, held) - held
        found["psnr"] = round(decibels(float(error.square().mean())), 2)
        found["l1"] = round(float(error.abs().mean()), 4)
        found["psnr_of_mean"] = round(decibels(float((held - held.mean(0)).square().mean())), 2)
    return found


def rendered(generator: Generator, latents: torch.Tensor) -> torch.Tensor:
    """(N, *stimulus) on the CPU, rendered in batches."""
    with torch.no_grad():
        return torch.cat([generator.render(part).cpu() for part in torch.split(latents, BATCH)])


def reproduced(generator: Generator, stimuli: torch.Tensor) -> torch.Tensor:
    """(N, *stimulus): `stimuli` encoded and rendered."""
    with torch.no_grad():
        parts = torch.split(stimuli, BATCH)
        return torch.cat([generator.render(generator.encode(part)).cpu() for part in parts])


def decibels(error: float) -> float:
    """Peak signal-to-noise ratio for values in [0, 1] of a mean squared error."""
    return -10 * math.log10(max(error, 1e-12))


def write_licence(folder: Path, licence: str) -> None:
    """Begins the card, so that the generator knows its licence."""
    (folder / CARD).write_text(_front(licence), encoding="utf-8")


def write(folder: Path, card: dict[str, Any]) -> None:
    """Writes card.json and README.md."""
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    held = card["held_out"]
    on = f"{held} held-out pictures" if held else "the pictures it was fitted to (too few to split)"
    rows = [
        ("pictures", f"{card['pictures']}, of {' x '.join(map(str, card['shape']))}"),
        ("latent", f"{card['dimension']} values"),
        (
            "random latents",
            (
                f"KID x 1000 of {SAMPLES} samples: {card['kid']} (standard error "
                f"{card['kid_error']}; class tokens of the shipped vision transformer at 32x32)"
            ),
        ),
    ]
    if "psnr" in card:
        rows.insert(
            2,
            (
                "reconstruction",
                (
                    f"{card['psnr']} dB PSNR, mean absolute error {card['l1']} on {on}; the mean "
                    f"picture has {card['psnr_of_mean']} dB"
                ),
            ),
        )
    else:
        rows.insert(2, ("reconstruction", "none: this generator has no encoder"))
    skipped = [f"- {name}" for name in card["skipped"]]
    lines = [
        _front(card["licence"]),
        f"# {folder.name}",
        "",
        f"A generator of kind `{card['kind']}`, fitted by `blackbox-am generators fit`.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {text} |" for name, text in rows),
        f"| licence of the pictures | {card['licence'] or 'not given'} |",
        *(["", "Files that could not be read:", "", *skipped] if skipped else []),
    ]
    (folder / CARD).write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw(folder: Path, generator: Generator, held: torch.Tensor) -> None:
    """Writes samples.png, and with an encoder reconstructions.png: each row of held-out pictures
    stands above the row of their reconstructions.
    """
    from blackbox_am.plots import save, sheet

    latents = generator.space.sample(Stream(1, "card", 0), SHOWN)[0]
    save(sheet(list(rendered(generator, latents).numpy()), columns=COLUMNS), folder / "samples.png")
    if generator.encodes:
        given = held[: SHOWN // 2]
        made = reproduced(generator, given)
        rows = zip(torch.split(given, COLUMNS), torch.split(made, COLUMNS), strict=True)
        pairs = torch.cat([torch.cat(pair) for pair in rows])
        figure = sheet(list(pairs.numpy()), columns=min(COLUMNS, len(given)))
        save(figure, folder / "reconstructions.png")


def _front(licence: str) -> str:
    return f"---\nlicense: {' '.join(licence.split())}\n---\n" if licence else ""
