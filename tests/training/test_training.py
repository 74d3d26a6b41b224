"""Every training runs for a few steps on a small random data set."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from blackbox_am.errors import NotFound, StoreCorrupt
from blackbox_am.zoo.nets import CifarResNet
from training.data import cut_out, mix_up, read_images, shift_and_flip
from training.files import read_weights, write_weights
from training.loop import Average, Budget, batches
from training.losses import (
    covariance_gap,
    decibels,
    divergence,
    feature_distance,
    pixel_distance,
    statistics_distance,
)
from training.teacher import load_teacher
from training.vae import build_vae, standardise


@pytest.mark.slow
@pytest.mark.parametrize("task", ["cnn", "vit"])
def test_classifier_trainings_write_weights_and_accuracy(train, task, data, teacher, tmp_path):
    assert train(task, data, tmp_path, teacher, "--minutes", "0.02", "--epochs", "1") == 0
    facts = json.loads((tmp_path / f"cifar_{task}.json").read_text())
    assert 0.0 <= facts["accuracy_test_1000"] <= 1.0
    assert facts["distilled"] is True
    state = load_file(tmp_path / f"cifar_{task}.safetensors")
    assert all(value.dtype == torch.float16 for value in state.values())


@pytest.mark.slow
def test_classifiers_train_without_a_teacher_and_resume(train, data, tmp_path):
    more = ("--epochs", "1", "--resume")
    assert train("vit", data, tmp_path, None, *more) == 0
    first = load_file(tmp_path / "cifar_vit.safetensors")["head.weight"]
    assert train("vit", data, tmp_path, None, *more) == 0
    assert json.loads((tmp_path / "cifar_vit.json").read_text())["epochs"] == 2
    second = load_file(tmp_path / "cifar_vit.safetensors")["head.weight"]
    assert 0 < float((first - second).abs().max()) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("task", ["vae", "vq"])
def test_autoencoder_trainings_write_a_diffusers_folder(
    train, task, data, teacher, tmp_path, monkeypatch
):
    # From the first step on, so that the short run passes through the critic as well.
    monkeypatch.setattr(f"training.{task}.NATURAL_FROM", -1.0)
    assert train(task, data, tmp_path, teacher, "--minutes", "0.02", "--epochs", "1") == 0
    folder = tmp_path / f"cifar_{task}"
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]
    assert json.loads((folder / "config.json").read_text())["scaling_factor"] == 1.0
    facts = json.loads((tmp_path / f"cifar_{task}.json").read_text())
    assert len(facts["latent_std"]) == facts["latent_shape"][0]


@pytest.mark.parametrize("task", ["vae", "vq"])
def test_autoencoder_trainings_need_a_teacher(train, task, data, tmp_path, capsys):
    assert train(task, data, tmp_path, None) == 2
    assert "--teacher FILE" in capsys.readouterr().err


def test_probe_images_are_drawn_from_the_test_file(train, data, tmp_path):
    assert train("probe", data, tmp_path, None) == 0
    with np.load(tmp_path / "probe_images.npz", allow_pickle=False) as archive:
        assert archive["x"].dtype == np.uint8
        assert np.bincount(archive["y"]).tolist() == [4] * 10


def test_missing_data_is_reported(train, tmp_path, capsys):
    assert train("cnn", tmp_path, tmp_path, None) == 2
    assert "cifar10_train_10000.npz does not exist" in capsys.readouterr().err


def test_unreadable_data_is_reported(tmp_path):
    target = tmp_path / "x.npz"
    target.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(StoreCorrupt, match="cannot be read"):
        read_images(target)
    np.savez(target, x=np.zeros((2, 8, 8, 3), np.uint8), y=np.zeros(2))
    with pytest.raises(StoreCorrupt, match="must hold x uint8"):
        read_images(target)


def test_teacher_errors(tmp_path):
    device = torch.device("cpu")
    with pytest.raises(NotFound, match="--teacher names the file"):
        load_teacher(tmp_path / "none.safetensors", device)
    save_file({"conv1.weight": torch.zeros(16, 3, 3, 3)}, tmp_path / "half.safetensors")
    with pytest.raises(StoreCorrupt, match="of another net"):
        load_teacher(tmp_path / "half.safetensors", device)
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(StoreCorrupt, match="cannot be read"):
        load_teacher(tmp_path / "bad.safetensors", device)


def test_folded_norms_do_not_change_the_teacher(teacher):
    net = CifarResNet((16, 32, 64), (3, 3, 3), shortcut="pad").eval()
    loaded = load_teacher(teacher, torch.device("cpu"))
    ours = {"conv1": "stem", "bn1": "stem_bn", "linear": "head"}
    state = load_file(teacher)
    net.load_state_dict(
        {".".join([ours.get(k.split(".")[0], k.split(".")[0]), *k.split(".")[1:]]): v
         for k, v in state.items()}
    )  # fmt: skip
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(loaded(x), net(loaded.normalise(x)), rtol=1e-3, atol=1e-4)
    assert [tuple(f.shape[1:]) for f in loaded.features(x)] == [
        (16, 32, 32),
        (32, 16, 16),
        (64, 8, 8),
    ]


def test_augmentations_keep_shape_and_range():
    x = torch.rand(16, 3, 32, 32)
    for changed in (shift_and_flip(x, 4), cut_out(x, 8), mix_up(x)):
        assert changed.shape == x.shape
        assert float(changed.min()) >= 0.0
        assert float(changed.max()) <= 1.0
    still = shift_and_flip(x, 0)
    same = (still == x).flatten(1).all(1) | (still == x.flip(3)).flatten(1).all(1)
    assert bool(same.all())


def test_budget_ends_by_steps_or_by_time():
    budget = Budget(minutes=100.0, steps=10)
    assert budget.done < 0.01
    assert budget.rate(1.0) < 0.1
    budget.step = 5
    assert budget.rate(1.0) == pytest.approx(0.53, abs=0.02)
    budget.step = 20
    assert budget.done == 1.0
    assert budget.rate(1.0) == pytest.approx(0.0)
    assert Budget(minutes=0.0, steps=10).done == 1.0


def test_batches_cover_the_images_once():
    device = torch.device("cpu")
    seen = torch.cat(list(batches(10, 3, device)))
    assert len(seen) == len(seen.unique()) == 9
    assert [len(index) for index in batches(2, 8, device)] == [2]


def test_average_follows_the_module():
    net = torch.nn.Linear(1, 1)
    average = Average(net, decay=0.5)
    with torch.no_grad():
        net.weight += 1.0
    before = average.state["weight"].clone()
    for _ in range(200):
        average.update(net)
    assert float((average.state["weight"] - net.weight.detach()).abs()) < 1e-4
    assert not torch.equal(before, average.state["weight"])


def test_losses_vanish_where_pictures_agree():
    x = torch.rand(8, 3, 16, 16)
    assert float(pixel_distance(x, x)) == 0.0
    assert float(feature_distance([x], [x])) == 0.0
    assert float(statistics_distance(x, x)) < 0.3
    assert float(feature_distance([x], [1 - x])) > 0.5
    assert float(statistics_distance(x, 0.1 * x)) > 2.0
    assert decibels(0.01) == pytest.approx(20.0)


def test_latent_losses_vanish_for_the_prior():
    assert float(divergence(torch.zeros(4, 8), torch.zeros(4, 8))) == 0.0
    torch.manual_seed(0)
    z = torch.randn(20000, 4)
    assert abs(float(covariance_gap(z))) < 0.01
    assert float(covariance_gap(2 * z)) > 5.0


@torch.no_grad()
def test_standardising_changes_latents_but_not_pictures():
    torch.manual_seed(0)
    vae = build_vae().eval()
    x = torch.rand(2, 3, 32, 32)
    mean, std = torch.randn(8), torch.rand(8) + 0.5
    before = vae.encode(x).latent_dist
    picture = vae.decode(before.mean).sample
    standardise(vae, mean, std)
    after = vae.encode(x).latent_dist
    shift, scale = mean[None, :, None, None], std[None, :, None, None]
    torch.testing.assert_close(after.mean, (before.mean - shift) / scale, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(after.std, before.std / scale, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(vae.decode(after.mean).sample, picture, rtol=1e-3, atol=1e-4)


def test_weights_of_another_shape_are_not_resumed(tmp_path):
    target = tmp_path / "w.safetensors"
    assert read_weights(target, {}) is None
    write_weights(target, {"a": torch.zeros(2)})
    assert read_weights(target, {"a": torch.zeros(3)}) is None
    found = read_weights(target, {"a": torch.zeros(2)})
    assert found is not None
    assert found["a"].dtype == torch.float32
