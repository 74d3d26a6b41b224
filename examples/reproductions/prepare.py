"""Writes the files that two of the reproductions need and that do not ship.

    python examples/reproductions/prepare.py [FOLDER]

- `cbf_train.npz`: 300 series of cylinder, bell and funnel, by the recipe of the training series.
- `deepsim_small.safetensors`: a network with the layers of DeePSim's generator of fc6, with 64
  codes, few channels and random weights. The authors' weights may not be redistributed.

Without FOLDER they are written beside this program, where the configurations expect them.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from blackbox_am.zoo.cbf import cylinder_bell_funnel

CODES, GRID = 64, 4
DENSE = ("defc7", "defc6", "defc5")
CONVOLUTIONS = {  # channels of the result, and side of the kernel: 4 doubles the image's side
    "deconv5": (16, 4),
    "conv5_1": (16, 3),
    "deconv4": (16, 4),
    "conv4_1": (16, 3),
    "deconv3": (8, 4),
    "conv3_1": (8, 3),
    "deconv2": (8, 4),
    "deconv1": (4, 4),
    "deconv0": (3, 4),
}


def deepsim(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights, scaled so that the variance stays from layer to layer."""
    draw = torch.Generator().manual_seed(seed)
    channels = next(iter(CONVOLUTIONS.values()))[0]
    state: dict[str, torch.Tensor] = {}
    for name in DENSE:
        wide = channels * GRID**2 if name == DENSE[-1] else CODES
        state[f"{name}.weight"] = torch.randn(wide, CODES, generator=draw) * (2 / CODES) ** 0.5
        state[f"{name}.bias"] = torch.zeros(wide)
    for name, (made, side) in CONVOLUTIONS.items():
        shape = (channels, made, side, side)
        gain = (8 if side == 4 else 2) / (channels * side**2)
        state[f"{name}.weight"] = torch.randn(shape, generator=draw) * gain**0.5
        state[f"{name}.bias"] = torch.zeros(made)
        channels = made
    state["deconv0.weight"] *= 60  # values of pixels are 0 to 255
    return state


def main() -> None:
    """Writes the files."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    series, _ = cylinder_bell_funnel(300, seed=1)
    np.savez(folder / "cbf_train.npz", series)
    save_file(deepsim(), folder / "deepsim_small.safetensors")
    print(f"wrote cbf_train.npz and deepsim_small.safetensors into {folder}")


if __name__ == "__main__":
    main()
