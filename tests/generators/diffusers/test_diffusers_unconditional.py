"""Against diffusers' own pipelines, which draw the noise that is given here."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from blackbox_am import plugins
from blackbox_am.core.rng import Stream
from blackbox_am.errors import InvalidSpec, NotFound, StoreCorrupt
from blackbox_am.generators.diffusers.diffusers_unconditional import DiffusersUnconditional
from blackbox_am.zoo import catalogue as zoo

N = 3 * 8 * 8
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


def noises(count: int, rows: int = 2, seed: int = 3) -> torch.Tensor:
    """(rows, count * N), and the same in the order in which a pipeline draws it."""
    drawn = torch.Generator().manual_seed(seed)
    steps = [torch.randn(rows, 3, 8, 8, generator=drawn) for _ in range(count)]
    return torch.stack(steps, 1).flatten(1)


def drawn_by_pipeline(pipeline, seed: int = 3, **given) -> torch.Tensor:
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(
        batch_size=2, generator=torch.Generator().manual_seed(seed), output_type="np", **given
    )
    return torch.from_numpy(made.images).permute(0, 3, 1, 2)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_pictures_are_those_of_the_ddim_pipeline(ddpm_folder: str, eta: float) -> None:
    from diffusers import DDIMPipeline

    pipeline = DDIMPipeline.from_pretrained(ddpm_folder)
    expected = drawn_by_pipeline(pipeline, num_inference_steps=4, eta=eta)
    searched = 3 if eta else 0
    generator = DiffusersUnconditional(
        ddpm_folder, steps=4, eta=eta, step_noises=searched, prior="normal"
    )
    assert generator.space.spec.image_shape == (3 * (1 + searched), 8, 8)
    torch.testing.assert_close(generator.render(noises(1 + searched)), expected)


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_small_log", "fixed_large"])
def test_pictures_are_those_of_the_ddpm_pipeline(
    variance: str, ddpm_folder: str, with_file: Callable[..., str]
) -> None:
    from diffusers import DDPMPipeline

    folder = with_file(ddpm_folder, "scheduler/scheduler_config.json", variance_type=variance)
    expected = drawn_by_pipeline(DDPMPipeline.from_pretrained(folder), num_inference_steps=4)
    generator = DiffusersUnconditional(folder, steps=4, sampler="ddpm", step_noises=3)
    torch.testing.assert_close(generator.render(noises(4)), expected)


@pytest.mark.parametrize("steps", [1, 3])
def test_pictures_are_those_of_the_consistency_pipeline(
    consistency_folder: str, steps: int
) -> None:
    from diffusers import ConsistencyModelPipeline

    pipeline = ConsistencyModelPipeline.from_pretrained(consistency_folder)
    expected = drawn_by_pipeline(pipeline, num_inference_steps=steps, class_labels=[2, 2])
    generator = DiffusersUnconditional(
        consistency_folder, steps=steps, step_noises=steps - 1, label=2
    )
    torch.testing.assert_close(generator.render(noises(steps)), expected)


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_pictures_are_those_of_the_latent_diffusion_pipeline(ldm_folder: str, eta: float) -> None:
    from diffusers import LDMPipeline

    pipeline = LDMPipeline.from_pretrained(ldm_folder)
    with torch.random.fork_rng():
        torch.manual_seed(5)  # this pipeline draws the noise of its steps from nowhere else
        expected = drawn_by_pipeline(pipeline, num_inference_steps=4, eta=eta)
    searched = 3 if eta else 0
    generator = DiffusersUnconditional(ldm_folder, steps=4, eta=eta, step_noises=searched)
    assert generator.space.dim == N * (1 + searched)
    assert generator.stimulus_shape == expected.shape[1:] == (3, 16, 16)
    latents = torch.cat([noises(1), noises(searched, seed=5)], 1) if searched else noises(1)
    torch.testing.assert_close(generator.render(latents), expected)


def test_gradients_pass_the_quantiser_straight_through(ldm_folder: str) -> None:
    generator = DiffusersUnconditional(ldm_folder, steps=2)
    latents = noises(1).requires_grad_()
    generator.render(latents).square().sum().backward()
    assert latents.grad is not None
    assert (latents.grad != 0).float().mean() > 0.9


def test_an_autoencoder_of_other_latents_is_refused(
    ldm_folder: str, with_file: Callable[..., str]
) -> None:
    folder = with_file(ldm_folder, "vqvae/config.json", vq_embed_dim=5)
    generator = DiffusersUnconditional(folder)
    with pytest.raises(InvalidSpec, match=r"denoises 3 channels, .* in vqvae/ decodes 5"):
        _ = generator.stimulus_shape
    with pytest.raises(InvalidSpec, match=r"denoises 3 channels"):
        generator.render(noises(1))
    shutil.rmtree(Path(folder, "vqvae"))
    with pytest.raises(NotFound, match=r"vqvae/config\.json"):
        _ = DiffusersUnconditional(folder).stimulus_shape


def test_pictures_are_those_of_a_latent_consistency_scheduler(
    ddpm_folder: str, with_file: Callable[..., str]
) -> None:
    from diffusers import DDPMPipeline, LCMScheduler

    folder = with_file(ddpm_folder, "model_index.json", scheduler=["diffusers", "LCMScheduler"])
    LCMScheduler().save_pretrained(Path(folder) / "scheduler")
    expected = drawn_by_pipeline(DDPMPipeline.from_pretrained(folder), num_inference_steps=3)
    generator = DiffusersUnconditional(folder, steps=3, step_noises=2)
    torch.testing.assert_close(generator.render(noises(3)), expected)


@pytest.mark.parametrize(
    "name", ["EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "PNDMScheduler"]
)
def test_other_samplers_run_as_saved(
    name: str, ddpm_folder: str, with_file: Callable[..., str]
) -> None:
    import diffusers

    saved = DiffusersUnconditional(ddpm_folder).sampling.values
    folder = with_file(ddpm_folder, "scheduler/scheduler_config.json")
    scheduler = getattr(diffusers, name).from_config(saved)
    scheduler.save_pretrained(Path(folder) / "scheduler")
    unet = diffusers.UNet2DModel.from_pretrained(folder, subfolder="unet")
    scheduler.set_timesteps(5)
    start = noises(1)
    samples = start.reshape(2, 3, 8, 8) * scheduler.init_noise_sigma
    with torch.no_grad():
        for time in scheduler.timesteps:
            said = unet(scheduler.scale_model_input(samples, time), time).sample
            samples = scheduler.step(said, time, samples).prev_sample
    generator = DiffusersUnconditional(folder, steps=5)
    torch.testing.assert_close(generator.render(start), (samples / 2 + 0.5).clamp(0, 1))
    torch.testing.assert_close(
        generator.render(start.flip(0)), generator.render(start).flip(0), rtol=1e-3, atol=1e-4
    )


def test_noise_that_a_sampler_draws_itself_is_the_same_for_every_row(
    ddpm_folder: str, with_file: Callable[..., str]
) -> None:
    import diffusers

    folder = with_file(ddpm_folder, "scheduler/scheduler_config.json")
    scheduler = diffusers.EulerAncestralDiscreteScheduler()
    scheduler.save_pretrained(Path(folder) / "scheduler")
    generator = DiffusersUnconditional(folder, steps=3)
    start = noises(1)
    pictures = generator.render(torch.cat([start, start]))
    torch.testing.assert_close(pictures[:2], pictures[2:])
    torch.testing.assert_close(generator.render(start[1:]), pictures[1:2])


def test_searched_noises_come_first_and_the_others_from_the_seed(ddpm_folder: str) -> None:
    def picture(count: int, changed: int, seed: int = 0) -> torch.Tensor:
        latents = noises(1 + count, rows=1).reshape(1, 1 + count, -1)
        latents[:, changed] += 0.5
        made = DiffusersUnconditional(
            ddpm_folder, steps=4, sampler="ddpm", step_noises=count, seed=seed
        )
        return made.render(latents.flatten(1))

    assert not torch.equal(picture(2, 1), picture(2, 2))
    assert not torch.equal(picture(2, 2), picture(2, 2, seed=1))
    assert torch.equal(picture(3, 2), picture(3, 2, seed=1))


def test_the_space_comes_from_the_configuration_alone(ddpm_folder: str, tmp_path: Path) -> None:
    shutil.copytree(ddpm_folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / WEIGHTS).unlink()
    generator = DiffusersUnconditional(str(tmp_path), eta=1.0, step_noises=2)
    assert (generator.space.kind, generator.space.dim) == ("sphere", 3 * N)
    assert generator.space.spec.radius is None  # the square root of the dimension
    assert generator.stimulus_shape == (3, 8, 8)
    assert DiffusersUnconditional(str(tmp_path), prior="normal").space.kind == "normal"
    with pytest.raises(NotFound, match=r"unet.*diffusion_pytorch_model\.safetensors"):
        generator.render(torch.zeros(1, 3 * N))


@pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks`:UserWarning")
def test_the_name_of_a_downloaded_model_does_as_well(
    ddpm_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    model, version = tmp_path / "models--me--tiny", "0" * 40
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(version)
    shutil.copytree(ddpm_folder, model / "snapshots" / version)
    latents = noises(1)
    expected = DiffusersUnconditional(ddpm_folder, steps=2).render(latents)
    assert torch.equal(DiffusersUnconditional("me/tiny", steps=2).render(latents), expected)
    with pytest.raises(NotFound, match="downloaded before"):
        _ = DiffusersUnconditional("me/other").space


def test_the_zoos_pipeline_has_pictures_that_differ_and_are_no_noise() -> None:
    generator = DiffusersUnconditional("zoo:cifar_ldm", steps=4)
    assert (generator.space.kind, generator.space.dim) == ("sphere", 4 * 8 * 8)
    pictures = generator.render(generator.space.sample(Stream(0, "test", 0), 16)[0])
    assert pictures.shape == (16, 3, 32, 32)
    assert pictures.std(0).mean() > 0.12
    # Neighbouring pixels of a natural picture are alike; those of noise are not.
    sides = torch.stack([pictures[..., :-1].flatten(), pictures[..., 1:].flatten()])
    assert torch.corrcoef(sides)[0, 1] > 0.8


def test_weights_of_the_zoo_that_are_damaged_say_how_to_get_them_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in zoo.entry("cifar_ldm").files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(zoo.ROOT / file, tmp_path / file)
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    weights = tmp_path / zoo.entry("cifar_ldm").files[0]
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(StoreCorrupt, match=r"unet: the weights are damaged.*reinstall the package"):
        DiffusersUnconditional("zoo:cifar_ldm").render(torch.zeros(1, 256))
    weights.unlink()
    with pytest.raises(NotFound, match=r"expected the file .*safetensors; reinstall"):
        _ = DiffusersUnconditional("zoo:cifar_ldm").space


def test_slices_and_checkpoints_change_nothing(ddpm_folder: str) -> None:
    latents = noises(1, rows=3).requires_grad_()
    made = []
    for given in ({}, {"rows": 2}, {"checkpointing": True}):
        stimuli = DiffusersUnconditional(ddpm_folder, steps=3, **given).render(latents)
        (slopes,) = torch.autograd.grad(stimuli.square().sum(), latents)
        made.append((stimuli.detach(), slopes))
    for stimuli, slopes in made[1:]:
        torch.testing.assert_close(stimuli, made[0][0])
        torch.testing.assert_close(slopes, made[0][1], rtol=1e-4, atol=1e-3)


def test_gradients_are_those_of_the_whole_sampler(
    ddpm_folder: str, slopes_of: Callable[..., tuple[float, float]]
) -> None:
    generator = DiffusersUnconditional(ddpm_folder, steps=3)
    direction = noises(1, rows=1, seed=4) / N**0.5
    slope, measured = slopes_of(generator, noises(1, rows=1), direction)
    assert slope == pytest.approx(measured, rel=0.05)


def test_half_precision_is_near(ddpm_folder: str) -> None:
    latents = noises(1)
    exact = DiffusersUnconditional(ddpm_folder, steps=3).render(latents)
    rough = DiffusersUnconditional(ddpm_folder, steps=3, dtype="bfloat16").render(latents)
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max() < 0.05


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"steps": 0}, "steps: expected 1 or more"),
        ({"steps": 2, "step_noises": 2}, "step_noises: expected 0 to 1"),
        ({"step_noises": 1}, "adds noise in 0 of 8 steps"),
        ({"eta": 1.5}, "eta: expected 0 to 1"),
        ({"sampler": "ddpm", "eta": 0.5}, "eta: only DDIM"),
        ({"sampler": "euler"}, "sampler"),
        ({"prior": "box"}, "prior"),
        ({"dtype": "float16"}, "dtype"),
        ({"rows": -1}, "rows"),
        ({"label": 1}, "knows no classes"),
    ],
)
def test_parameters_that_do_not_fit(
    parameters: dict[str, object], message: str, ddpm_folder: str
) -> None:
    with pytest.raises(InvalidSpec, match=message):
        _ = plugins.generators.build(
            "diffusers_unconditional", {"weights": ddpm_folder, **parameters}
        ).space


def test_parameters_that_no_scheduler_takes(ddpm_folder: str, consistency_folder: str) -> None:
    with pytest.raises(InvalidSpec, match="2000 steps"):
        DiffusersUnconditional(ddpm_folder, steps=2000).render(noises(1))
    with pytest.raises(InvalidSpec, match="3 classes; expected 0 to 2, got None"):
        _ = DiffusersUnconditional(consistency_folder).space
    with pytest.raises(InvalidSpec, match="is a consistency model"):
        _ = DiffusersUnconditional(consistency_folder, sampler="ddim", label=0).space


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("model_index.json", {"_class_name": "DiTPipeline"}, "found 'DiTPipeline'"),
        ("model_index.json", {"unet": ["diffusers", "UNet1DModel"]}, "of class UNet2DModel"),
        ("unet/config.json", {"sample_size": None}, "in_channels and sample_size"),
        ("unet/config.json", {"out_channels": 6}, "learned variances"),
        ("scheduler/scheduler_config.json", {"_class_name": None}, "whose noise can be given"),
        (
            "scheduler/scheduler_config.json",
            {"_class_name": "DPMSolverSDEScheduler"},
            "whose noise can be given",
        ),
    ],
)
def test_bad_configurations(
    file: str,
    values: dict[str, object],
    message: str,
    ddpm_folder: str,
    with_file: Callable[..., str],
) -> None:
    with pytest.raises(InvalidSpec, match=message):
        _ = DiffusersUnconditional(with_file(ddpm_folder, file, **values)).space


def test_learned_variances_are_not_sampled(ddpm_folder: str, with_file: Callable[..., str]) -> None:
    folder = with_file(
        ddpm_folder, "scheduler/scheduler_config.json", variance_type="learned_range"
    )
    with pytest.raises(InvalidSpec, match="'learned_range'; use 'ddim'"):
        _ = DiffusersUnconditional(folder, sampler="ddpm").space


def test_weights_that_do_not_fit_are_named(
    ddpm_folder: str, with_file: Callable[..., str], tmp_path: Path
) -> None:
    folder = with_file(ddpm_folder, "model_index.json")
    whole = load_file(f"{ddpm_folder}/{WEIGHTS}")

    def refused(**state: torch.Tensor) -> str:
        save_file(state, f"{folder}/{WEIGHTS}")
        with pytest.raises(InvalidSpec, match="do not fit") as told:
            DiffusersUnconditional(folder).render(noises(1))
        return str(told.value)

    fewer = {key: value for key, value in whole.items() if key != "conv_in.weight"}
    assert "lacking conv_in.weight" in refused(**fewer)
    assert "not known to the configuration: extra.bias" in refused(
        **whole, **{"extra.bias": torch.zeros(2)}
    )
    assert "of another shape: conv_in.weight" in refused(
        **(whole | {"conv_in.weight": torch.zeros(2, 2)})
    )
    Path(folder, WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(InvalidSpec, match="damaged"):
        DiffusersUnconditional(folder).render(noises(1))


def test_missing_and_damaged_files(ddpm_folder: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"model_index\.json"):
        _ = DiffusersUnconditional(str(tmp_path)).space
    with pytest.raises(NotFound, match="zoo:NAME"):
        _ = DiffusersUnconditional(str(tmp_path / "nothing")).space
    with pytest.raises(NotFound, match="cifar_nothing"):
        _ = DiffusersUnconditional("zoo:cifar_nothing").space
    (tmp_path / "model_index.json").write_text(json.dumps(["a list"]))
    with pytest.raises(InvalidSpec, match="JSON object, got list"):
        _ = DiffusersUnconditional(str(tmp_path)).space
