"""A package that is not installed is named with the command that installs it."""

import sys

import numpy as np
import pytest

from blackbox_am.analysis.attribution import grad_cam, integrated_gradients, sobol_cells
from blackbox_am.analysis.directions import probe
from blackbox_am.analysis.geometry import components, geometry
from blackbox_am.analysis.meaning import facets
from blackbox_am.catalogue import Catalogue
from blackbox_am.errors import MissingExtra
from blackbox_am.oracles.simulated import Simulated

MANY = np.random.default_rng(0).random((12, 3, 8, 8), np.float32)
GREY = np.full((3, 32, 32), 0.5, np.float32)


@pytest.mark.parametrize(
    ("package", "modules", "call"),
    [
        ("SALib", ["SALib", "SALib.sample"], lambda: sobol_cells(Simulated(), "units:0", MANY[0])),
        (
            "captum",
            ["captum", "captum.attr"],
            lambda: integrated_gradients(Simulated(gradients=True), "units:0", MANY[0]),
        ),
        (
            "captum",
            ["captum", "captum.attr"],
            lambda: grad_cam(Catalogue.default().oracle("cifar_cnn"), "head:0", GREY),
        ),
        (
            "scikit-learn",
            ["sklearn", "sklearn.cluster"],
            lambda: facets(Simulated(), "units:0", MANY, k=2),
        ),
        (
            "scikit-learn",
            ["sklearn", "sklearn.linear_model"],
            lambda: probe(Simulated(), "units", MANY[:6], MANY[6:]),
        ),
        (
            "scikit-learn",
            ["sklearn", "sklearn.metrics"],
            lambda: geometry(Simulated(), "units", MANY, np.arange(12) % 2),
        ),
        (
            "scikit-learn",
            ["sklearn", "sklearn.decomposition"],
            lambda: components(Simulated(), "units", MANY),
        ),
    ],
)
def test_the_extra_is_named(package, modules, call, monkeypatch):
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=rf"'{package}' is not.*blackbox-am\[analysis\]"):
        call()
