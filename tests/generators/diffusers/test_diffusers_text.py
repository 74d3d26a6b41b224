"""Against diffusers' own pipeline, for the same noise and prompt."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from blackbox_am import plugins
from blackbox_am.core.space import Product, Sphere
from blackbox_am.errors import InvalidSpec, NotFound, ShapeMismatch
from blackbox_am.generators.diffusers._prompts import encode, principal_basis, random_basis
from blackbox_am.generators.diffusers.diffusers_text import DiffusersText

N = 4 * 8 * 8
PROMPTS = ("a red cat", "the green dog", "a blue tree on the moon", "cheese", "the moon of cheese")


@pytest.fixture(scope="module")
def pipeline(text_folder: str):
    from diffusers import StableDiffusionPipeline

    found = StableDiffusionPipeline.from_pretrained(text_folder, safety_checker=None)
    found.set_progress_bar_config(disable=True)
    return found


def drawn(pipeline, noise: torch.Tensor, **given) -> torch.Tensor:
    made = pipeline(
        latents=noise.reshape(-1, 4, 8, 8), num_inference_steps=3, output_type="np", **given
    )
    return torch.from_numpy(made.images).permute(0, 3, 1, 2)


def noise(rows: int = 2) -> torch.Tensor:
    return torch.randn(rows, N, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("guidance", [0.0, 1.0, 4.0])
def test_pictures_are_those_of_the_pipeline(text_folder: str, pipeline, guidance: float) -> None:
    expected = drawn(
        pipeline,
        noise(),
        prompt=["a red cat"] * 2,
        negative_prompt=["cheese"] * 2,
        guidance_scale=guidance,
    )
    generator = DiffusersText(text_folder, "a red cat", "cheese", guidance, steps=3)
    torch.testing.assert_close(generator.render(noise()), expected)


@pytest.mark.parametrize(
    "name", ["PNDMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"]
)
def test_so_they_are_with_other_samplers(
    name: str, text_folder: str, pipeline, with_file: Callable[..., str]
) -> None:
    import diffusers

    folder = with_file(text_folder, "scheduler/scheduler_config.json")
    given = {"skip_prk_steps": True} if name == "PNDMScheduler" else {}
    scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config, **given)
    scheduler.save_pretrained(Path(folder) / "scheduler")
    other = diffusers.StableDiffusionPipeline(**pipeline.components | {"scheduler": scheduler})
    other.set_progress_bar_config(disable=True)
    expected = drawn(other, noise(), prompt=["a dog"] * 2)
    torch.testing.assert_close(DiffusersText(folder, "a dog", steps=3).render(noise()), expected)


def test_an_offset_of_nothing_is_the_prompt_itself(text_folder: str) -> None:
    both = DiffusersText(text_folder, "a cat", latent="both", steps=3, directions=5)
    latents = torch.cat([noise(), torch.zeros(2, 5)], dim=1)
    expected = DiffusersText(text_folder, "a cat", steps=3).render(noise())
    torch.testing.assert_close(both.render(latents), expected)
    assert isinstance(both.space, Product)
    assert isinstance(both.space.parts[0], Sphere)
    assert [part.dim for part in both.space.parts] == [N, 5]


def test_offsets_are_added_to_the_embedding_and_not_to_the_negative_one(
    text_folder: str, pipeline
) -> None:
    generator = DiffusersText(
        text_folder, "a cat", "a dog", latent="both", steps=3, directions=4, scale=2.0
    )
    coordinates = torch.tensor([[1.0, -0.5, 0.0, 2.0], [0.0, 3.0, 1.0, 0.0]])
    positive, negative = pipeline.encode_prompt("a cat", "cpu", 1, True, "a dog")
    basis = 2.0 * random_basis(positive[0], 4, seed=0)
    offsets = torch.einsum("nd,dlc->nlc", coordinates, basis)
    expected = drawn(
        pipeline,
        noise(),
        prompt_embeds=positive + offsets,
        negative_prompt_embeds=negative.expand(2, -1, -1),
    )
    latents = torch.cat([noise(), coordinates], dim=1)
    torch.testing.assert_close(generator.render(latents), expected)


def test_random_directions_are_orthogonal_and_as_long_as_the_prompt(text_folder: str) -> None:
    (embedding,) = encode(text_folder, ["a red cat"])
    basis = random_basis(embedding, 6, seed=1).flatten(1)
    expected = torch.eye(6) * embedding.norm() ** 2 / 6
    torch.testing.assert_close(basis @ basis.T, expected, rtol=1e-4, atol=1e-3)
    assert not torch.equal(basis, random_basis(embedding, 6, seed=2).flatten(1))
    with pytest.raises(InvalidSpec, match="has 192 dimensions, got 193"):
        random_basis(embedding, 193, seed=1)


def test_principal_directions_vary_as_the_prompts_do(text_folder: str) -> None:
    embeddings = encode(text_folder, PROMPTS)
    basis = principal_basis(embeddings, 4).flatten(1)
    centred = (embeddings - embeddings.mean(0)).flatten(1)
    covariance = centred.T @ centred / (len(PROMPTS) - 1)
    torch.testing.assert_close(basis.T @ basis, covariance, rtol=1e-3, atol=1e-3)
    with pytest.raises(InvalidSpec, match="vary in 1 directions, got 3"):
        principal_basis(encode(text_folder, ["a cat", "a dog", "a cat", "a cat"]), 3)


def test_a_basis_of_prompts_moves_the_picture(text_folder: str) -> None:
    generator = DiffusersText(
        text_folder,
        "a cat",
        steps=3,
        latent="prompt",
        directions=3,
        basis="prompts",
        prompts=PROMPTS,
    )
    assert (generator.space.kind, generator.space.dim) == ("normal", 3)
    pictures = generator.render(torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]))
    assert not torch.equal(pictures[0], pictures[1])
    other = DiffusersText(text_folder, "a cat", steps=3, latent="prompt", directions=3, seed=1)
    assert not torch.equal(other.render(torch.zeros(1, 3)), pictures[:1])


def test_the_space_comes_from_the_configuration_alone(text_folder: str, tmp_path: Path) -> None:
    for file in Path(text_folder).rglob("*.json"):
        copy = tmp_path / file.relative_to(text_folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    generator = DiffusersText(str(tmp_path))
    assert (generator.space.kind, generator.space.dim) == ("sphere", N)
    assert generator.stimulus_shape == (3, 16, 16)
    larger = DiffusersText(str(tmp_path), size=24)
    assert larger.space.spec.image_shape == (4, 12, 12)
    assert larger.stimulus_shape == (3, 24, 24)
    with pytest.raises(NotFound, match=r"vae.*diffusion_pytorch_model\.safetensors"):
        generator.render(noise())


def test_pictures_of_another_size(text_folder: str) -> None:
    generator = DiffusersText(text_folder, steps=2, size=24)
    assert generator.render(torch.randn(1, 4 * 12 * 12)).shape == (1, 3, 24, 24)


def test_half_precision_is_near(text_folder: str) -> None:
    exact = DiffusersText(text_folder, "a cat", steps=3).render(noise())
    rough = DiffusersText(text_folder, "a cat", steps=3, dtype="bfloat16").render(noise())
    assert 0 < (rough - exact).abs().max() < 0.05


def test_latents_of_the_wrong_size(text_folder: str) -> None:
    generator = DiffusersText(text_folder, latent="both", directions=4)
    with pytest.raises(ShapeMismatch, match=f"{N + 4}"):
        generator.render(noise())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"latent": "image"}, "latent"),
        ({"basis": "words"}, "basis"),
        ({"directions": 0}, "directions: expected 1 or more"),
        ({"guidance_scale": -1.0}, "guidance_scale"),
        ({"scale": -0.5}, "scale: expected a number of 0 or more"),
        ({"steps": 0}, "steps"),
        ({"size": 15}, "multiple of 2 pixels"),
        ({"latent": "prompt", "basis": "prompts", "directions": 4}, "takes 5 prompts"),
    ],
)
def test_parameters_that_do_not_fit(
    parameters: dict[str, object], message: str, text_folder: str
) -> None:
    with pytest.raises(InvalidSpec, match=message):
        _ = plugins.generators.build("diffusers_text", {"weights": text_folder, **parameters}).space


def test_a_prompt_that_is_too_long_is_not_cut_off(text_folder: str) -> None:
    generator = DiffusersText(text_folder, "a red cat on the moon of cheese on a tree")
    with pytest.raises(InvalidSpec, match=r"reads 12 tokens, .* has 16"):
        generator.render(noise())


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("model_index.json", {"_class_name": "FluxPipeline"}, "found 'FluxPipeline'"),
        ("model_index.json", {"unet": ["diffusers", "UNet2DModel"]}, "UNet2DConditionModel"),
        ("unet/config.json", {"addition_embed_type": "text_time"}, "has addition_embed_type"),
        ("vae/config.json", {"block_out_channels": None}, "says nothing of block_out_channels"),
    ],
)
def test_bad_configurations(
    file: str,
    values: dict[str, object],
    message: str,
    text_folder: str,
    with_file: Callable[..., str],
) -> None:
    with pytest.raises(InvalidSpec, match=message):
        _ = DiffusersText(with_file(text_folder, file, **values)).space


@pytest.mark.parametrize(
    ("part", "file", "key"),
    [
        ("text_encoder", "model.safetensors", "final_layer_norm.weight"),
        ("vae", "diffusion_pytorch_model.safetensors", "decoder.conv_in.weight"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    part: str, file: str, key: str, text_folder: str, with_file: Callable[..., str]
) -> None:
    folder = with_file(text_folder, "model_index.json")
    path = f"{folder}/{part}/{file}"
    state = load_file(path)
    (full,) = (name for name in state if name.endswith(key))
    del state[full]
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(InvalidSpec, match=f"{part}.*lacking .*{key}"):
        DiffusersText(folder).render(noise())
    Path(path).write_bytes(b"no weights")
    with pytest.raises(InvalidSpec, match=f"{part}.*damaged"):
        DiffusersText(folder).render(noise())
    Path(path).unlink()
    with pytest.raises(NotFound, match=f"{part}.*{file}"):
        DiffusersText(folder).render(noise())


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json"])
def test_a_missing_tokenizer(file: str, text_folder: str, with_file: Callable[..., str]) -> None:
    folder = with_file(text_folder, "model_index.json")
    Path(folder, "tokenizer", file).unlink()
    with pytest.raises(NotFound, match="tokenizer"):
        DiffusersText(folder).render(noise())


def test_a_tokenizer_of_more_words_than_the_encoder_knows(
    text_folder: str, with_file: Callable[..., str]
) -> None:
    folder = with_file(text_folder, "text_encoder/config.json", vocab_size=20)
    path = f"{folder}/text_encoder/model.safetensors"
    state = load_file(path)
    (key,) = (name for name in state if name.endswith("token_embedding.weight"))
    state[key] = state[key][:20].clone()
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(InvalidSpec, match="the text encoder knows 20"):
        DiffusersText(folder).render(noise())
