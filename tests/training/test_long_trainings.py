"""The trainings of generators and of series run for a few steps on a small random data set."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from blackbox_am.errors import StoreCorrupt
from blackbox_am.zoo.cbf import MEAN, STD, cylinder_bell_funnel
from blackbox_am.zoo.gans import GanArchitecture
from blackbox_am.zoo.loading import load_autoencoder
from training import checkpoint, ldm, series, sngan
from training.augment import augment, cut_hole, shift_colours, translate
from training.loop import Budget
from training.sngan import Discriminator
from training.teacher import Normalise


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(sngan, "SETTLING", 1)
    monkeypatch.setattr(sngan, "BATCH", 20)
    monkeypatch.setattr(ldm, "BATCH", 40)  # it sees each picture twice, once mirrored
    monkeypatch.setattr(series, "TRAIN", 128)
    monkeypatch.setattr(series, "TEST", 60)


@pytest.mark.slow
@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("task", ["sngan", "ldm"])
def test_long_trainings_resume_from_their_checkpoint(task, train, data, tmp_path):
    assert train(task, data, tmp_path, None, "--epochs", "1") == 0
    name = f"cifar_{task}"
    assert json.loads((tmp_path / f"{name}.json").read_text())["steps"] == 2
    first = checkpoint.read_checkpoint(tmp_path / f"{name}.checkpoint.safetensors")
    assert first is not None
    assert train(task, data, tmp_path, None, "--epochs", "2", "--resume") == 0
    assert json.loads((tmp_path / f"{name}.json").read_text())["steps"] == 4
    second = checkpoint.read_checkpoint(tmp_path / f"{name}.checkpoint.safetensors")
    assert second is not None
    assert second[1]["seconds"] > first[1]["seconds"]
    for owner, state in first[0].items():
        assert set(state) == set(second[0][owner])
    # Adam's counters continued, and the weights changed by at most two steps.
    adam = next(owner for owner in first[0] if owner.endswith(".adam"))
    assert float(second[0][adam]["0/step"]) == 4.0
    net = f"{adam.removesuffix('.adam')}.net"
    moved = [
        float((second[0][net][key] - value).abs().max())
        for key, value in first[0][net].items()
        if value.ndim == 4
    ]
    assert 0 < max(moved) < 0.01
    if task == "ldm":
        _check_layout(tmp_path / name)


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_the_gan_that_is_written_fits_its_architecture(train, data, teacher, tmp_path):
    assert train("sngan", data, tmp_path, teacher, "--epochs", "1") == 0
    facts = json.loads((tmp_path / "cifar_sngan.json").read_text())
    net = GanArchitecture.from_plain(facts["architecture"]).build()
    state = load_file(tmp_path / "cifar_sngan.safetensors")
    assert all(value.dtype == torch.float16 for value in state.values())
    missing, unexpected = net.load_state_dict(
        {k: v.float() for k, v in state.items()}, strict=False
    )
    assert not unexpected
    assert all(key.endswith("num_batches_tracked") for key in missing)
    assert facts["parameters"] == sum(p.numel() for p in net.parameters())


def _check_layout(folder):
    """Check that diffusers reads the folder, with the autoencoder of the latents."""
    from diffusers import LDMPipeline

    pipeline = LDMPipeline.from_pretrained(folder, local_files_only=True)
    assert pipeline.unet.config.sample_size == 8
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    assert pipeline.scheduler.config.timestep_spacing == "trailing"
    # The last time is pure noise: the signal's share is close to zero.
    assert float(pipeline.scheduler.alphas_cumprod[-1]) < 1e-6
    encoded = load_autoencoder("cifar_vq").state_dict()
    saved = pipeline.vqvae.state_dict()
    assert all(torch.equal(saved[key].float(), value) for key, value in encoded.items())
    assert pipeline.vqvae.config.scaling_factor > 1
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")) == [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vqvae/config.json",
        "vqvae/diffusion_pytorch_model.safetensors",
    ]


def test_latents_of_mirrored_pictures_follow_those_of_the_pictures():
    autoencoder = load_autoencoder("cifar_vq")
    pictures = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    latents = ldm.encode(autoencoder, pictures)
    assert latents.shape == (6, 4, 8, 8)
    again = ldm.encode(autoencoder, pictures.flip(-1))
    torch.testing.assert_close(latents[3:], again[:3], rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("task", ["cbf_cnn", "cbf_vae"])
def test_series_trainings_write_weights_and_facts(task, train, tmp_path):
    assert train(task, tmp_path, tmp_path, None, "--epochs", "1") == 0
    facts = json.loads((tmp_path / f"{task}.json").read_text())
    assert facts["epochs"] == 1
    assert (tmp_path / f"{task}.safetensors").is_file()
    if task == "cbf_vae":
        assert len(facts["latent_mean"]) == facts["architecture"]["latent"]
        assert 0 < facts["rmse_test_1500"] < 1
    else:
        assert 0 <= facts["accuracy_test_1500"] <= 1


def test_series_trainings_refuse_to_resume(train, tmp_path, capsys):
    assert train("cbf_cnn", tmp_path, tmp_path, None, "--resume") == 2
    assert "leave --resume out" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_reported(tmp_path):
    path = tmp_path / "x.checkpoint.safetensors"
    assert checkpoint.read_checkpoint(path) is None
    path.write_bytes(b"half a file")
    with pytest.raises(StoreCorrupt, match="start without --resume"):
        checkpoint.read_checkpoint(path)


def test_a_budget_resumes_from_seconds_and_step():
    budget = Budget(minutes=1.0, steps=100, seconds=45.0, step=10)
    assert 0.75 <= budget.done < 0.8
    assert budget.step == 10


def test_the_discriminator_is_a_contraction_of_known_strength():
    torch.manual_seed(0)
    net = Discriminator(None, (4, 4, 4, 4)).train()
    for _ in range(50):  # power iteration
        net(torch.zeros(1, 3, 32, 32))
    net.eval()
    for module in net.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            largest = torch.linalg.matrix_norm(module.weight.detach().flatten(1), 2)
            assert float(largest) == pytest.approx(1.0, abs=0.02)


def test_the_discriminators_heads_use_a_frozen_teacher(teacher):
    from training.teacher import load_teacher

    loaded = load_teacher(teacher, torch.device("cpu"))
    net = Discriminator(loaded, (4, 4, 4, 4))
    x = torch.rand(2, 3, 32, 32, requires_grad=True)
    scores = net(x)
    assert [tuple(score.shape) for score in scores] == [
        (2, 1), (2, 1, 8, 8), (2, 1, 4, 4), (2, 1, 2, 2)
    ]  # fmt: skip
    sum(score.sum() for score in scores[1:]).backward()
    assert float(x.grad.abs().sum()) > 0
    assert not any(key.startswith("_teacher") for key in net.state_dict())
    assert all(p.grad is None for p in loaded.parameters())


def test_augmentation_is_differentiable_and_different_for_each_picture():
    x = torch.rand(1, 3, 16, 16).repeat(32, 1, 1, 1) * 2 - 1
    x.requires_grad_()
    for change in (shift_colours, translate, cut_hole, augment):
        changed = change(x)
        assert changed.shape == x.shape
        assert len({tuple(row) for row in changed.detach().flatten(1).tolist()}) > 8
        (slope,) = torch.autograd.grad(changed.square().sum(), x)
        assert float(slope.abs().sum()) > 0


def test_translation_moves_pixels_by_at_most_an_eighth():
    x = torch.zeros(200, 1, 16, 16)
    x[:, :, 8, 8] = 1.0
    moved = translate(x)
    assert torch.equal(moved.sum((1, 2, 3)), torch.ones(200))
    place = moved.flatten(1).argmax(1)
    rows, columns = place // 16 - 8, place % 16 - 8
    assert sorted(set(rows.tolist())) == sorted(set(columns.tolist())) == [-2, -1, 0, 1, 2]


def test_holes_cover_at_most_a_quarter():
    holes = (cut_hole(torch.ones(200, 1, 16, 16)) == 0).sum((1, 2, 3))
    assert int(holes.max()) == 64
    assert int(holes.min()) >= 16


def test_shapes_are_those_of_the_recipe():
    x, y = cylinder_bell_funnel(3000, 0)
    assert x.shape == (3000, 1, 128)
    assert y.tolist()[:4] == [0, 1, 2, 0]
    assert (x >= 0).all()
    assert (x <= 1).all()
    assert x.mean() == pytest.approx(MEAN, abs=0.005)
    assert x.std() == pytest.approx(STD, abs=0.005)
    values = x[:, 0] * 16 - 4
    # Before a = 16 there is only noise, of deviation 1.
    assert values[:, :15].mean() == pytest.approx(0.0, abs=0.02)
    assert values[:, :15].std() == pytest.approx(1.0, abs=0.02)
    # Where all cylinders stand (a <= 32, b >= 48 at the latest start) their mean is 6.
    assert values[y == 0][:, 33:47].mean() == pytest.approx(6.0, abs=0.15)
    # Bells rise and funnels fall: the larger half of the mass is late, or early.
    middle = [float((values[y == k].clip(2) - 2).mean(0) @ range(128)) for k in range(3)]
    mass = [float((values[y == k].clip(2) - 2).mean(0).sum()) for k in range(3)]
    early, late = middle[2] / mass[2], middle[1] / mass[1]
    assert early + 10 < late
    again, _ = cylinder_bell_funnel(3000, 0)
    assert (again == x).all()
    assert not (cylinder_bell_funnel(3000, 1)[0] == x).all()


def test_normalisation_of_series_and_pictures():
    assert math.isclose(
        float(Normalise((0.5,), (0.25,), dims=1)(torch.ones(1, 1, 4))[0, 0, 0]), 2.0
    )
    assert Normalise()(torch.ones(2, 3, 4, 4)).shape == (2, 3, 4, 4)
