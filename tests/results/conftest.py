from __future__ import annotations

import pytest

import blackbox_am
from blackbox_am.catalogue import Catalogue

TABLES = {
    "oracles": {
        "toy": {"kind": "simulated", "stimulus_shape": [3, 4, 4], "units": 3},
        "noisy": {"kind": "simulated", "stimulus_shape": [3, 4, 4], "units": 3, "noise": 0.1},
    },
    "generators": {"pixels": {"kind": "pixels", "shape": [3, 4, 4]}},
}


@pytest.fixture(scope="session")
def catalogue():
    return Catalogue.from_plain(TABLES)


@pytest.fixture(scope="session")
def search(catalogue):
    """A function that runs a small study."""

    def run(**changes):
        wanted = {
            "oracle": "toy",
            "generator": "pixels",
            "targets": ["units:0", "units:2"],
            "queries_per_target": 40,
            "catalogue": catalogue,
            "device": "cpu",
        }
        return blackbox_am.maximise(**{**wanted, **changes})

    return run


@pytest.fixture(scope="session")
def result(search):
    """A result of two targets, with all latents."""
    return search(keep_latents="all", study_id="found")
