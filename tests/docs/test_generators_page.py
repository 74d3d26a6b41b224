"""The page of the generators names every generator, and its configuration is valid."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import blackbox_am
from blackbox_am import plugins
from blackbox_am.core.parameters import parameters_of
from blackbox_am.generators.parametric.pixels import Pixels

TEXT = (Path(blackbox_am.__file__).parent / "generators" / "README.md").read_text("utf-8")


def test_the_page_names_every_generator_and_wrapper():
    named = set(re.findall(r"`([a-z_]+)`", TEXT))
    assert set(plugins.generators.names()) <= named
    assert set(plugins.generator_wrappers.names()) <= named


def test_the_configuration_is_valid():
    (block,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    entries = tomllib.loads(block)["generators"]
    assert len(entries) == 2
    for entry in entries.values():
        wraps = entry.pop("wrap")
        kind = entry.pop("kind")
        made = parameters_of(plugins.generators.get(kind), kind, entry)
        assert made.kind == kind
        for wrap in wraps:
            name = wrap.pop("kind")
            assert plugins.wrap_generator(Pixels(), name, wrap).kind == name
