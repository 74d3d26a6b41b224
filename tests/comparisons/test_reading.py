"""A comparison from a file: one clear line for everything that is wrong."""

import sys
from pathlib import Path

import numpy as np
import pytest

from blackbox_am.cli.compare_example import EXAMPLE
from blackbox_am.comparisons.reading import changed, read_config
from blackbox_am.errors import BlackboxError, InvalidSpec, NotFound

TOML = """
version = 1
name = "toys"
oracle = "toy"
generator = "pixels"
units = ["units:0", "units:3", "units:4"]
seeds = [3, 4]

[[methods]]
name = "steep"
optimizer = "adam"
parameters = { learning_rate = 0.1 }

[[methods]]
name = "sep_cma"
budget = 50

[oracles.toy]
kind = "simulated"
stimulus_shape = [3, 6, 6]
gradients = true

[generators.pixels]
kind = "pixels"
shape = [3, 6, 6]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "comparison.toml"
    path.write_text(text)
    return path


def test_models_of_the_file_stand_beside_the_shipped_ones(tmp_path):
    spec, catalogue = read_config(written(tmp_path, TOML))
    assert spec.methods[0].parameters == {"learning_rate": 0.1}
    assert spec.methods[0].searches_with == "adam"
    assert spec.methods[1].budget == 50
    assert spec.all_seeds == (3, 4)
    assert catalogue.oracle(spec.oracle).describe().stimulus_shape == (3, 6, 6)
    assert "cifar_cnn" in catalogue.oracle_names()


def test_files_and_modules_beside_the_file_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("TOY_PIXELS", "data.npy")
    (tmp_path / "toy_nets_of_a_comparison.py").write_text("from torch.nn import Flatten as Net\n")
    np.save(tmp_path / "data.npy", np.random.default_rng(0).random((9, 3, 6, 6), np.float32))
    text = TOML.replace(
        'kind = "pixels"\nshape = [3, 6, 6]', 'kind = "pca"\ndata = "${TOY_PIXELS}"'
    )
    text = text.replace(
        'kind = "simulated"\nstimulus_shape = [3, 6, 6]\ngradients = true',
        'kind = "torch_module"\nmodel = "toy_nets_of_a_comparison:Net"\nstimulus_shape = [3, 6, 6]',
    )
    spec, catalogue = read_config(written(tmp_path, text))
    assert catalogue.generator(spec.generator).stimulus_shape == (3, 6, 6)
    assert catalogue.oracle(spec.oracle).describe().stimulus_shape == (3, 6, 6)


def test_the_example_is_a_file_and_a_comparison(tmp_path):
    path = Path(__file__).parents[2] / "examples" / "comparisons" / "cifar.toml"
    assert path.read_text("utf-8") == EXAMPLE
    spec, catalogue = read_config(path)
    assert len(spec.layers) * spec.units_per_layer >= 20
    assert len(spec.all_seeds) == 5
    for name in (spec.oracle, spec.second, spec.independent):
        assert name in catalogue.oracle_names()
    commented = EXAMPLE.replace("\n# [[", "\n[[").replace("\n# name = ", "\nname = ")
    for name in ("optimizer", "parameters", "budget", "reference"):
        commented = commented.replace(f"\n# {name} = ", f"\n{name} = ")
    other, _ = read_config(written(tmp_path, commented))
    assert other.methods[-1].name == "small steps"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("version = 1", "version = 3", "expected 1, the version"),
        ('oracle = "toy"', "oracle = 3", "oracle: expected text, got 3"),
        ("seeds =", "seed =", "there is no field 'seed'; did you mean 'seeds'"),
        ("budget = 50", "budgt = 50", "there is no field 'methods[1].budgt'"),
        ('name = "sep_cma"', 'name = "steep"', "'steep' occurs more than once"),
        ("[oracles.toy]", "[oracle.toy]", ""),
        ('kind = "simulated"', 'kind = "simulatd"', "did you mean 'simulated'"),
        ("version = 1", "version 1", "is not valid TOML"),
    ],
)
def test_wrong_files(tmp_path, before, after, said):
    path = written(tmp_path, TOML.replace(before, after))
    with pytest.raises(BlackboxError) as refused:
        read_config(path)
    assert said in refused.value.message
    assert str(path) in refused.value.message
    assert "\n" not in refused.value.message


def test_a_missing_file(tmp_path):
    with pytest.raises(NotFound, match="--example"):
        read_config(tmp_path / "none.toml")


def test_overrides(tmp_path):
    spec, _ = read_config(written(tmp_path, TOML))
    assert changed(spec) == spec
    other = changed(spec, methods=["steep", "snes"], units=["units:1"], budget=30, seeds=1)
    assert [method.name for method in other.methods] == ["steep", "snes"]
    assert other.methods[0].parameters == {"learning_rate": 0.1}
    assert (other.units, other.budget, other.all_seeds) == (("units:1",), 30, (0,))
    quick = changed(spec, quick=True)
    assert (quick.units, quick.all_seeds, quick.budget) == (("units:0",), (3,), 200)
    layers = changed(changed(spec), quick=True, budget=300)
    assert layers.budget == 300
    with pytest.raises(InvalidSpec, match="more than once"):
        changed(spec, methods=["steep", "steep"])
