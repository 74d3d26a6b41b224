from __future__ import annotations

import numpy as np

from blackbox_am.plots import Row, montage
from blackbox_am.plots.names import legend_of, short_names, shortened


def test_a_name_is_shortened_in_the_middle():
    name = "vision_model.encoder.layers.11.mlp.fc1:713"
    short = shortened(name, 20)
    assert len(short) == 20
    assert short.startswith("vision_")
    assert short.endswith("fc1:713")
    assert shortened("fc:1", 20) == "fc:1"


def test_different_names_stay_different():
    names = [f"model.encoder.layers.{n}.mlp.fc1:713@cls" for n in (10, 11)] + ["fc:1", "fc:1"]
    short = short_names(names, 18)
    assert len(set(short)) == 3
    assert short[0].startswith("1 ")
    assert all(len(name) <= 18 for name in short)
    assert legend_of(names, short) == [f"{a} = {b}" for a, b in zip(short[:2], names, strict=False)]


def test_a_montage_has_the_whole_name_below():
    name = "vision_model.encoder.layers.11.mlp.fc1:713@cls"
    figure = montage([Row("best", [np.zeros((4, 4))], [1.0])], [name], note="study a · seed 0")
    words = [text.get_text() for text in figure.texts]
    assert name not in words
    assert f" = {name}" in " ".join(word.strip() for word in words)
    assert "study a · seed 0" in words
    assert "best" not in words  # the only row needs no name
    plain = montage([Row("best", [np.zeros((4, 4))], [1.0])], ["x"])
    assert plain.get_figheight() < figure.get_figheight()
