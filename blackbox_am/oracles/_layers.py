"""Names of layers and of their axes, for models whose format has no axis names."""

from __future__ import annotations

import re

AXES = {
    1: ("unit",),
    2: ("token", "unit"),
    3: ("unit", "height", "width"),
    4: ("unit", "depth", "height", "width"),
}
"""Names of the axes of an activation, by the number of axes, if nothing else is known."""


def layer_name(name: str, taken: set[str]) -> str:
    """A unique layer name in the grammar of units: `/layer1/conv/Conv_output_0` has no slashes.

    Args:
        name: name of a tensor.
        taken: names in use; the new name is added.
    """
    words = [re.sub(r"[^\w\-]", "_", word).lstrip("-") for word in re.split(r"[./]+", name)]
    plain = ".".join(word for word in words if word) or "tensor"
    unique, number = plain, 2
    while unique in taken:
        unique, number = f"{plain}_{number}", number + 1
    taken.add(unique)
    return unique
