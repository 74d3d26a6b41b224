"""GAN generators from the zoo and from a user's file."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from blackbox_am.errors import InvalidSpec, NotFound, StoreCorrupt
from blackbox_am.generators.networks.gan import Gan
from blackbox_am.generators.networks.series_vae import SeriesVAE
from blackbox_am.testing.generators import latents_for
from blackbox_am.zoo import catalogue


def edit(weights: str, **changes: object) -> None:
    """Changes what lies beside the weights."""
    path = Path(weights).with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_shape_of_a_picture_follows_from_the_widths(gan_weights, dcgan_weights):
    assert Gan(gan_weights).stimulus_shape == (3, 8, 8)
    assert Gan(dcgan_weights).stimulus_shape == (1, 16, 16)
    assert Gan(dcgan_weights).space.dim == 7


def test_space_and_shape_are_known_without_reading_weights(gan_weights):
    Path(gan_weights).write_bytes(b"")
    assert Gan(gan_weights).space.dim == 5


def test_a_sphere_holds_the_same_pictures_as_normal_latents_of_that_length(gan_weights):
    sphere = Gan(gan_weights, "sphere")
    latents = latents_for(sphere)
    torch.testing.assert_close(latents.norm(dim=1), torch.full((8,), 5**0.5))
    assert torch.equal(sphere.render(latents), Gan(gan_weights).render(latents))


def test_truncation_pulls_latents_towards_the_middle(gan_weights):
    latents = latents_for(Gan(gan_weights))
    half = Gan(gan_weights, truncation=0.5).render(latents)
    torch.testing.assert_close(half, Gan(gan_weights).render(latents / 2))
    assert not torch.equal(half, Gan(gan_weights).render(latents))


@pytest.mark.parametrize("truncation", [0.0, -1.0, 1.5, float("nan")])
def test_truncation_out_of_range_is_refused(truncation):
    with pytest.raises(InvalidSpec, match="above 0 and at most 1") as caught:
        Gan(truncation=truncation)
    assert caught.value.field == "truncation"


def test_an_unknown_prior_is_refused():
    with pytest.raises(InvalidSpec, match="expected sphere or normal, got 'box'") as caught:
        Gan(prior="box")
    assert caught.value.field == "prior"


def test_weights_of_another_width_are_refused_with_their_tensors(gan_weights):
    edit(gan_weights, architecture={"latent": 5, "widths": [8, 4, 4]})
    with pytest.raises(
        InvalidSpec,
        match=r"the file lacks layers\.1\..* and 14 more; the module has no layers\.1\.",
    ) as caught:
        Gan(gan_weights).render(torch.zeros(1, 5))
    assert caught.value.field == "weights"
    assert "gan.json" in str(caught.value)


def test_weights_of_another_shape_are_refused_with_the_tensor(gan_weights):
    edit(gan_weights, architecture={"latent": 6, "widths": [8, 4]})
    shapes = r"dense\.weight is \(\d+, 5\) in the file and \(\d+, 6\) in the module"
    with pytest.raises(InvalidSpec, match=shapes):
        Gan(gan_weights).render(torch.zeros(1, 6))


def test_weights_of_another_style_are_refused_with_unknown_tensors(gan_weights):
    edit(gan_weights, architecture={"style": "dcgan", "latent": 5, "widths": [8, 4]})
    with pytest.raises(InvalidSpec, match=r"the file lacks .*; the module has no "):
        Gan(gan_weights).render(torch.zeros(1, 5))


def test_damaged_weights_are_refused(gan_weights):
    content = Path(gan_weights).read_bytes()
    Path(gan_weights).write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidSpec, match="is damaged"):
        Gan(gan_weights).render(torch.zeros(1, 5))


def test_a_missing_file_is_named(gan_weights):
    with pytest.raises(NotFound, match=r"no\.safetensors is not there"):
        _ = Gan(str(Path(gan_weights).with_name("no.safetensors"))).space
    beside = Path(gan_weights).with_suffix(".json")
    beside.unlink()
    with pytest.raises(InvalidSpec, match=r"dense has a weight .* Put NAME\.json beside"):
        _ = Gan(gan_weights).space


@pytest.mark.parametrize(
    ("architecture", "says"),
    [
        (None, "expected an object"),
        ([1, 2], "expected an object"),
        ({"style": "biggan"}, "expected 'sngan' or 'dcgan', got 'biggan'"),
        ({"width": [8, 4]}, "did you mean 'widths'"),
        ({"widths": [8]}, "smallest size first"),
        ({"widths": 8}, "smallest size first"),
        ({"widths": [8, 0]}, r"widths\[1\]: expected a whole number above 0, got 0"),
        ({"latent": True}, "latent: expected a whole number above 0, got True"),
        ({"latent": "12"}, "got '12'"),
    ],
)
def test_an_impossible_architecture_is_refused(gan_weights, architecture, says):
    edit(gan_weights, architecture=architecture)
    with pytest.raises(InvalidSpec, match=says) as caught:
        _ = Gan(gan_weights).space
    assert caught.value.field == "weights"


def test_json_that_is_none_is_refused(gan_weights):
    Path(gan_weights).with_suffix(".json").write_text("{")
    with pytest.raises(InvalidSpec, match="is no JSON"):
        _ = Gan(gan_weights).space


def test_a_zoo_entry_that_is_no_decoder_is_refused():
    with pytest.raises(InvalidSpec, match="expected a decoder, got kind 'classifier'"):
        _ = Gan("zoo:cifar_cnn").space
    with pytest.raises(NotFound, match="did you mean 'cifar_sngan'"):
        _ = Gan("zoo:cifar_snga").space


def test_weights_of_the_other_kind_of_decoder_are_refused():
    with pytest.raises(InvalidSpec, match="expected latent, widths, channels, got 'style'"):
        _ = SeriesVAE("zoo:cifar_sngan").space


def test_damaged_weights_of_the_zoo_say_how_to_get_them_back(monkeypatch, tmp_path):
    original = catalogue.ROOT
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    for relative in catalogue.entry("cifar_sngan").files:
        (tmp_path / relative).parent.mkdir(exist_ok=True)
        (tmp_path / relative).write_bytes((original / relative).read_bytes()[:5000])
    with pytest.raises(StoreCorrupt, match=r"python -m training sngan"):
        Gan().render(torch.zeros(1, 128))


def test_licence(gan_weights):
    assert Gan().licence == "Apache-2.0"
    assert Gan(gan_weights).licence == ""
    edit(gan_weights, licence="CC-BY-4.0")
    assert Gan(gan_weights).licence == "CC-BY-4.0"


def test_weights_with_step_counters_as_training_saves_them_fit(gan_weights):
    latents = latents_for(Gan(gan_weights))
    before = Gan(gan_weights).render(latents)
    state = load_file(gan_weights)
    state["layers.1.num_batches_tracked"] = torch.tensor(3)
    save_file(state, gan_weights)
    assert torch.equal(Gan(gan_weights).render(latents), before)


def test_the_zoos_pictures_are_colourful_and_differ():
    pictures = Gan().render(latents_for(Gan(), 64))
    assert pictures.shape == (64, 3, 32, 32)
    # Natural pictures of CIFAR-10 have a deviation of 0.25; grey or equal ones nearly none.
    assert 0.15 < float(pictures.std()) < 0.35
    assert float(pictures.std(0).mean()) > 0.15


def test_series_are_decoded_around_the_natural_latents(series_weights):
    plain = SeriesVAE(series_weights)
    latents = latents_for(plain)
    natural = latents * torch.tensor([2.0, 0.5]) + torch.tensor([1.0, -1.0])
    wanted = plain.render(natural)
    edit(series_weights, latent_mean=[1.0, -1.0], latent_std=[2.0, 0.5])
    assert plain.stimulus_shape == (1, 16)
    torch.testing.assert_close(SeriesVAE(series_weights).render(latents), wanted)


@pytest.mark.parametrize(
    ("mean", "std"), [([0.0], [1.0]), ([0.0, 0.0], [1.0, 0.0]), ([0.0, 0.0], [1.0])]
)
def test_latent_statistics_that_do_not_fit_are_refused(series_weights, mean, std):
    edit(series_weights, latent_mean=mean, latent_std=std)
    with pytest.raises(InvalidSpec, match="of 2 numbers each") as caught:
        SeriesVAE(series_weights).render(torch.zeros(1, 2))
    assert caught.value.field == "weights"
