"""`blackbox-am bench attacks`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from blackbox_am.bench import measurement
from blackbox_am.bench.measurement import Measurement
from blackbox_am.bench.options import JsonFile
from blackbox_am.bench.progress import say
from blackbox_am.errors import InvalidInput, did_you_mean

PARTS = ("linf", "l2", "targeted", "labels", "gradients", "kinds", "rivals")


def attacks(
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help=f"{', '.join(PARTS)}; default all. Repeatable."),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--attack", help="Only these attacks. Repeatable."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="Of the kinds only these models: vit, int8, api, forest. Repeatable."
        ),
    ] = None,
    images: Annotated[int, typer.Option(help="Images that are classified correctly.", min=1)] = 200,
    skip: Annotated[
        int, typer.Option(help="Leave out the first images, on which attacks were tuned.", min=0)
    ] = 100,
    budget: Annotated[int, typer.Option(help="Queries for each image.", min=1)] = 2000,
    assets: Annotated[
        Path, typer.Option(help="Folder with the ResNet-20 and its test images.")
    ] = Path("../shared/assets"),
    json_file: JsonFile = None,
) -> None:
    """Measure the queries of attacks on a ResNet-20 for CIFAR-10.

    success: the part of the images that are fooled, each measured afresh. queries: the median over
    all images, a failure as the whole budget. rows: rows that the model served over rows that the
    result reports, which must be 1. The part kinds has other models: the shipped vision
    transformer; the shipped network with 8-bit integers (needs onnx and onnxruntime), and behind an
    HTTP API that tells the best five classes with two decimals; and a random forest on a table that
    tells labels only (needs scikit-learn).

        blackbox-am bench attacks --part linf --images 200 --assets ASSETS
    """
    from blackbox_am.bench import attack_kinds, attack_runs, rival_attacks
    from blackbox_am.bench.problems import resnet20

    _check("--part", part, PARTS)
    _check("--only", only, attack_kinds.KINDS)
    lines: list[Measurement] = []
    if "kinds" in (part or PARTS) and not methods:
        for kind in attack_kinds.kinds(tuple(only or attack_kinds.KINDS), images):
            say(f"kinds: {kind.name} ...")
            lines += attack_kinds.lines_of(kind, budget)
    if part == ["kinds"]:
        title = f"bench attacks: kinds of model, {images} inputs, budget {budget}"
        measurement.show(title, lines, json_file)
        return
    stimuli, labels = attack_runs.test_images(assets, skip, images)
    for entry in attack_runs.ENTRIES:
        if entry.part in (part or PARTS) and entry.method in (methods or [entry.method]):
            say(f"{entry.part}: {entry.method} ...")
            found = attack_runs.lines_of(entry, assets, stimuli, labels, budget)
            for line in found:
                say(f"    {line.name}: {line.value:.4g}")
            lines += found
    if "rivals" in (part or PARTS) and not methods:
        model = resnet20(assets)
        lines += rival_attacks.lines(model, stimuli, labels, budget, say)
    title = f"bench attacks: ResNet-20, {len(stimuli)} images, budget {budget}"
    measurement.show(title, lines, json_file)


def _check(option: str, given: Sequence[str] | None, known: Sequence[str]) -> None:
    for one in given or ():
        if one not in known:
            raise InvalidInput(
                f"{option}: expected {', '.join(known)}, got {one!r}{did_you_mean(one, known)}"
            )
