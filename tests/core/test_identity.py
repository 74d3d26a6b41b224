"""What makes two models one, and what makes them two."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import blackbox_am as bam
from blackbox_am import plugins
from blackbox_am.core import digests
from blackbox_am.core.identity import Fingerprint
from blackbox_am.core.units import Unit
from blackbox_am.errors import NotFound
from blackbox_am.generators.data.pca import PCA
from blackbox_am.oracles.function import Function
from blackbox_am.oracles.http import Http
from blackbox_am.oracles.process.subprocess import Subprocess
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.sklearn import Sklearn
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.oracles.wrappers.cache import Cache
from blackbox_am.oracles.wrappers.delivery.retry import Retry
from blackbox_am.oracles.wrappers.measurement.quantise import Quantise
from tests import forked
from tests.closes import Closes

SHAPE = (3, 8, 8)


def net(seed: int = 0, width: int = 4) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 4)).eval()


def oracle(module: nn.Module, **more: object) -> TorchModule:
    return TorchModule(module, stimulus_shape=SHAPE, device="cpu", **more)  # type: ignore[arg-type]


def test_a_module_is_known_by_its_weights() -> None:
    assert oracle(net()).fingerprint() == oracle(net()).fingerprint()
    difference = oracle(net()).fingerprint().difference(oracle(net(1)).fingerprint())
    assert "the content of model changed" in difference


def test_a_module_is_known_by_its_structure() -> None:
    one, other = net(), net()
    other[2] = nn.Tanh()  # type: ignore[index]
    assert oracle(one).fingerprint() != oracle(other).fingerprint()


def test_training_in_place_makes_another_model() -> None:
    module = net()
    mine = oracle(module)
    before = mine.fingerprint()
    with torch.no_grad():
        module[1].weight += 0.01  # type: ignore[index, operator]
    assert mine.fingerprint() != before


def test_buffers_that_no_state_dict_holds_count() -> None:
    def masked(value: float) -> nn.Module:
        module = net()
        module.register_buffer("mask", torch.full((2,), value), persistent=False)
        return module

    assert oracle(masked(0)).fingerprint() == oracle(masked(0)).fingerprint()
    assert oracle(masked(0)).fingerprint() != oracle(masked(1)).fingerprint()


def test_using_an_oracle_does_not_change_what_it_is() -> None:
    mine = oracle(net())
    before = mine.fingerprint()
    mine.observe(torch.rand(2, *SHAPE), [Unit.parse("output:1")])
    assert mine.fingerprint() == before


def test_where_and_how_it_runs_does_not_count() -> None:
    assert oracle(net(), batch_size=2).fingerprint() == oracle(net(), batch_size=3).fingerprint()
    assert oracle(net(), mean=(0.5,)).fingerprint() != oracle(net()).fingerprint()


def test_a_file_is_known_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    def made(name: str, value: float) -> Fingerprint:
        save_file({"x": torch.full((1, 3, 8, 8), value)}, tmp_path / name)
        return PCA(data=str(tmp_path / name), components=1).fingerprint()

    assert made("one.safetensors", 0.5) == made("two.safetensors", 0.5)
    assert made("one.safetensors", 0.25) != made("two.safetensors", 0.5)
    with pytest.raises(NotFound):
        TorchModule("torchscript:" + str(tmp_path / "missing.pt"), SHAPE).fingerprint()


def test_a_replaced_file_of_the_same_size_and_time_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"one")
    os.utime(path, (1e9, 1e9))
    before = digests.of_paths((path,))
    (tmp_path / "new").write_bytes(b"two")
    os.utime(tmp_path / "new", (1e9, 1e9))
    (tmp_path / "new").replace(path)
    assert digests.of_paths((path,)) != before


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"1")
    before = digests.of_paths((tmp_path,))
    (tmp_path / "deep" / "a").rename(tmp_path / "deep" / "b")
    moved = digests.of_paths((tmp_path,))
    (tmp_path / "c").write_bytes(b"")
    assert len({before, moved, digests.of_paths((tmp_path,))}) == 3


def test_an_oracle_keeps_the_digest_of_the_file_that_it_has_read(tmp_path: Path) -> None:
    script = tmp_path / "model.pt"
    torch.jit.trace(net(), torch.rand(1, *SHAPE)).save(script)
    mine = TorchModule(f"torchscript:{script}", SHAPE, device="cpu")
    before = mine.fingerprint()
    torch.jit.trace(net(1), torch.rand(1, *SHAPE)).save(script)
    assert mine.fingerprint() == before
    assert TorchModule(f"torchscript:{script}", SHAPE, device="cpu").fingerprint() != before


def test_every_shipped_entry_has_the_same_fingerprint_each_time() -> None:
    one, other = bam.Catalogue.default(), bam.Catalogue.default()
    for name in one.oracle_names():
        assert one.oracle(name).fingerprint() == other.oracle(name).fingerprint()
        assert not one.oracle(name).fingerprint().unnamed
    for name in one.generator_names():
        assert one.generator(name).fingerprint() == other.generator(name).fingerprint()
        assert not one.generator(name).fingerprint().unnamed


def test_another_process_finds_the_same_fingerprint(tmp_path: Path) -> None:
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})  # for the helpers of tests
import importlib.util as u
spec = u.spec_from_file_location("t", {__file__!r})
t = u.module_from_spec(spec)
spec.loader.exec_module(t)
print(t.oracle(t.net()).fingerprint().digest, t.forest().fingerprint().digest)
"""
    found = forked.run([sys.executable, "-c", code], cwd=tmp_path, timeout=60).stdout.split()
    assert found == [oracle(net()).fingerprint().digest, forest().fingerprint().digest]


def forest(seed: int = 0) -> Sklearn:
    ensemble = pytest.importorskip("sklearn.ensemble")
    rng = np.random.default_rng(0)
    model = ensemble.RandomForestClassifier(5, random_state=seed)
    return Sklearn(model.fit(rng.random((50, 4)), rng.integers(0, 2, 50)))


def test_an_estimator_is_known_by_what_it_has_learnt() -> None:
    mine = forest()
    before = mine.fingerprint()
    assert before == forest().fingerprint() != forest(1).fingerprint()
    mine.observe(torch.rand(3, 4), [Unit.parse("predict_proba:1")])
    assert mine.fingerprint() == before


def test_a_function_is_known_by_the_name_it_is_given() -> None:
    def double(x: np.ndarray) -> np.ndarray:
        return 2 * x.mean((1, 2, 3))

    assert Function(double, SHAPE).fingerprint().unnamed == ("function",)
    assert Function(double, SHAPE).fingerprint() == Function(double, SHAPE).fingerprint()
    assert Function(double, SHAPE).fingerprint() != Function(lambda x: x, SHAPE).fingerprint()
    named = [Function(f, SHAPE, model="v3").fingerprint() for f in (double, lambda x: x)]
    assert named[0] == named[1] != Function(double, SHAPE, model="v4").fingerprint()
    assert not named[0].unnamed


def test_a_program_is_known_by_its_file(tmp_path: Path) -> None:
    program = tmp_path / "program.py"

    def of(text: str, **more: object) -> Fingerprint:
        program.write_text(text)
        return Subprocess((sys.executable, str(program)), SHAPE, 1, **more).fingerprint()  # type: ignore[arg-type]

    assert of("a") == of("a", timeout_seconds=3.0) != of("b")
    assert of("a", model="v1") == of("b", model="v1")


def test_wrappers_count_where_they_change_answers() -> None:
    inner = Simulated()
    assert Retry(inner).fingerprint() == inner.fingerprint()
    assert Cache(inner, ":memory:").fingerprint() == inner.fingerprint()
    assert Quantise(inner).fingerprint() != inner.fingerprint()
    difference = Quantise(inner).fingerprint().difference(Quantise(Simulated(seed=3)).fingerprint())
    assert difference == "the parameter inner.seed was 0 and is 3"


def test_secrets_are_hashed() -> None:
    def api(key: str) -> Http:
        return Http("https://a.test/v1", SHAPE, ("a", "b"), headers={"authorization": key})

    found = api("Bearer s3cret").fingerprint()
    assert "s3cret" not in repr(found)
    assert found != api("Bearer other").fingerprint()


def test_a_difference_names_every_field() -> None:
    one = Fingerprint("a", {"x": "1", "y": "2"}, {"w": "aa"})
    other = Fingerprint("a", {"x": "1", "y": "3"}, {"w": "bb"})
    assert one.difference(one) == ""
    assert one.difference(other) == (
        "the parameter y was 2 and is 3; the content of w changed (aa to bb)"
    )
    assert "the kind was 'a' and is 'b'" in one.difference(Fingerprint("b"))


def test_a_model_that_was_trained_is_another_one_to_a_cache(closes: Closes) -> None:
    module = net()
    cached = closes(Cache(oracle(module), ":memory:"))
    stimulus, unit = torch.rand(1, *SHAPE), [Unit.parse("output:1")]
    cached.observe(stimulus, unit)
    with torch.no_grad():
        module[3].bias += 1  # type: ignore[index, operator]
    assert cached.observe(stimulus, unit).item() == pytest.approx(module(stimulus)[0, 1].item())


def test_a_new_cache_notices_what_pytorch_does_not_count(closes: Closes, tmp_path: Path) -> None:
    module, path = net(), str(tmp_path / "answers.sqlite3")
    stimulus, unit = torch.rand(1, *SHAPE), [Unit.parse("output:1")]
    first = closes(Cache(oracle(module), path))
    before = first.observe(stimulus, unit).item()
    module[3].bias.data.add_(1)  # type: ignore[union-attr, operator]
    assert first.observe(stimulus, unit).item() == before  # as its docstring says
    first.close()
    again = closes(Cache(oracle(module), path))
    with torch.no_grad():
        expected = module(stimulus)[0, 1].item()
    assert again.observe(stimulus, unit).item() == pytest.approx(expected, abs=1e-6)
    again.close()


def test_a_cache_keeps_two_models_apart(closes: Closes, tmp_path: Path) -> None:
    stimulus, unit = torch.rand(1, *SHAPE), [Unit.parse("output:1")]
    path = str(tmp_path / "answers.sqlite3")
    for seed in (0, 1, 0):
        module = net(seed)
        with torch.no_grad():
            expected = module(stimulus)[0, 1].item()
        cached = closes(Cache(oracle(module), path))
        assert cached.observe(stimulus, unit).item() == pytest.approx(expected, abs=1e-6)
        cached.close()


@pytest.mark.parametrize("registry", [plugins.oracles, plugins.generators])
def test_every_plug_in_says_which_parameters_do_not_count(
    registry: plugins.Registry[object],
) -> None:
    for name in registry.names():
        plug_in = registry.get(name)
        fields = set(plug_in.__dataclass_fields__)
        assert plug_in.excluded_from_identity <= fields, name
