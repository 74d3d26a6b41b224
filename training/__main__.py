"""Command line of the trainings; run it with ``python -m training``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch

from blackbox_am.errors import BlackboxError
from training.loop import Job

TASKS = {
    "cnn": "classifiers.train_cnn",
    "vit": "classifiers.train_vit",
    "vae": "vae.train_vae",
    "vq": "vq.train_vq",
    "sngan": "sngan.train_sngan",
    "ldm": "ldm.train_ldm",
    "cbf_cnn": "series.train_cbf_cnn",
    "cbf_vae": "series.train_cbf_vae",
    "probe": "probe.write_probe",
}
"""The module and function of each training; only the chosen module is imported."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train one model of the zoo and write its weights and metadata.",
    )
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument(
        "--data", type=Path, default=Path(), help="folder of the CIFAR-10 npz files (not for cbf_*)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--teacher", type=Path, help="safetensors weights of the ResNet-20 teacher")
    parser.add_argument("--minutes", type=float, default=20.0, help="time budget (default 20)")
    parser.add_argument("--epochs", type=int, default=1000, help="most passes over the images")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")
    parser.add_argument("--resume", action="store_true", help="start from the weights in --out")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one training.

    Args:
        argv: Arguments without the program name; those of the process by default.

    Returns:
        0, or 2 if the data or the teacher cannot be read (the reason is printed to stderr).
    """
    given = _parser().parse_args(argv)
    chosen = given.device
    if chosen == "auto":
        chosen = "cuda" if torch.cuda.is_available() else "cpu"
    job = Job(
        data=given.data,
        out=given.out,
        teacher=given.teacher,
        minutes=given.minutes,
        epochs=given.epochs,
        device=torch.device(chosen),
        resume=given.resume,
    )
    try:
        module, function = TASKS[given.task].split(".")
        getattr(import_module(f"training.{module}"), function)(job)
    except BlackboxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
