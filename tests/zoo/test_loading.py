"""The shipped weights load and have the quality that their cards state."""

import json

import numpy as np
import pytest
import torch

from blackbox_am.errors import NotFound, StoreCorrupt
from blackbox_am.zoo import catalogue, loading
from blackbox_am.zoo.cbf import cylinder_bell_funnel


def normalised(name, pixels):
    item = catalogue.entry(name)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(item.mean)[None, :, None, None]
    return (x - mean) / torch.tensor(item.std)[None, :, None, None]


@pytest.fixture(scope="module")
def probe():
    return loading.probe_images()


def test_probe_images_are_balanced(probe):
    x, y = probe
    assert x.shape == (200, 32, 32, 3)
    assert x.dtype == np.uint8
    assert y.dtype == np.int64
    assert np.bincount(y).tolist() == [20] * 10
    assert x.std() > 40


@pytest.mark.parametrize(("name", "least"), [("cifar_cnn", 0.80), ("cifar_vit", None)])
def test_classifiers_are_as_accurate_as_carded(name, least, probe):
    x, y = probe
    net = loading.load_classifier(name)
    with torch.no_grad():
        accuracy = float((net(normalised(name, x)).argmax(1).numpy() == y).mean())
    carded = catalogue.metadata(name)["accuracy_test_1000"]
    # 200 of the 1,000 test images: the sampling error is about three percent.
    assert accuracy >= (least if least is not None else carded - 0.08)


@pytest.mark.parametrize("name", ["cifar_cnn", "cifar_vit"])
def test_classifiers_are_frozen_float32_and_differentiable_in_the_image(name):
    net = loading.load_classifier(name)
    assert not net.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in net.parameters())
    x = torch.zeros(2, 3, 32, 32, requires_grad=True)
    logits = net(x)
    assert logits.shape == (2, 10)
    logits.sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("cifar_cnn", ["stem", "layer1.0.conv1", "layer2.1.conv2", "layer3", "pool", "head"]),
        ("cifar_vit", ["patch_embed", "blocks.3.mlp.fc1", "blocks.3.norm1", "norm", "head"]),
    ],
)
def test_units_have_the_documented_names(name, units):
    modules = dict(loading.load_classifier(name).named_modules())
    assert set(units) <= set(modules)


def test_the_series_classifier_is_as_accurate_as_carded():
    item = catalogue.entry("cbf_cnn")
    x, y = cylinder_bell_funnel(600, seed=7)
    net = loading.load_classifier("cbf_cnn")
    with torch.no_grad():
        logits = net((torch.from_numpy(x) - item.mean[0]) / item.std[0])
    assert float((logits.argmax(1).numpy() == y).mean()) >= 0.98
    assert {"conv1", "act3", "head"} <= set(dict(net.named_modules()))


def test_outputs_do_not_depend_on_the_rest_of_the_batch(probe):
    x = normalised("cifar_cnn", probe[0][:8])
    net = loading.load_classifier("cifar_cnn")
    with torch.no_grad():
        torch.testing.assert_close(net(x)[:1], net(x[:1]), rtol=1e-4, atol=1e-4)


def reconstruction_psnr(name, pixels):
    model = loading.load_autoencoder(name)
    x = normalised(name, pixels)
    with torch.no_grad():
        if name == "cifar_vae":
            latents = model.encode(x).latent_dist.mode()
        else:
            latents = model.encode(x).latents
        picture = model.decode(latents).sample.clamp(-1, 1)
    assert tuple(latents.shape[1:]) == catalogue.entry(name).latent_shape
    assert picture.shape == x.shape
    return -10 * float(torch.log10(((picture - x) / 2).pow(2).mean()))


@pytest.mark.parametrize(
    ("name", "least"), [("cifar_vae", 19.0), pytest.param("cifar_vq", 21.0, marks=pytest.mark.slow)]
)
def test_autoencoders_reconstruct_as_carded(name, least, probe):
    psnr = reconstruction_psnr(name, probe[0])
    assert psnr >= least
    assert psnr == pytest.approx(catalogue.metadata(name)["psnr_test_1000"], abs=0.6)


def test_vae_pictures_of_random_latents_are_in_range_and_not_noise():
    model = loading.load_autoencoder("cifar_vae")
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        x = model.decode(torch.randn(32, 8, 4, 4, generator=draw)).sample
    assert float((x.abs() > 1.0).float().mean()) < 0.05
    assert float(x.std()) > 0.2
    # Neighbouring pixels of a natural picture are alike; those of noise are not.
    a, b = x[:, :, :, :-1].flatten(), x[:, :, :, 1:].flatten()
    assert float(torch.corrcoef(torch.stack([a, b]))[0, 1]) > 0.8


def test_vae_latents_of_natural_images_are_near_standard_normal(probe):
    model = loading.load_autoencoder("cifar_vae")
    with torch.no_grad():
        latents = model.encode(normalised("cifar_vae", probe[0])).latent_dist.sample()
    assert model.config.scaling_factor == 1.0
    assert latents.mean((0, 2, 3)).abs().max() < 0.2
    assert (latents.std((0, 2, 3)) - 1).abs().max() < 0.2


def test_vq_draws_on_much_of_its_codebook(probe):
    model = loading.load_autoencoder("cifar_vq")
    with torch.no_grad():
        latents = model.encode(normalised("cifar_vq", probe[0])).latents
        chosen, _, (_, _, index) = model.quantize(latents)
    assert chosen.shape == latents.shape
    assert index.max() < catalogue.entry("cifar_vq").codes
    assert len(index.unique()) > 200


@pytest.mark.parametrize("name", ["cifar_vae", "cifar_vq"])
def test_folders_are_in_the_layout_of_diffusers(name):
    import diffusers

    builder = diffusers.AutoencoderKL if name == "cifar_vae" else diffusers.VQModel
    theirs = builder.from_pretrained(catalogue.path(name), local_files_only=True).float()
    ours = loading.load_autoencoder(name).state_dict()
    assert theirs.state_dict().keys() == ours.keys()
    assert all(torch.equal(value, ours[key]) for key, value in theirs.state_dict().items())


def test_the_wrong_kind_is_refused():
    with pytest.raises(NotFound, match="of kind 'autoencoder'; of kind 'classifier': cifar_cnn"):
        loading.load_classifier("cifar_vae")
    with pytest.raises(NotFound, match="cifar_vae, cifar_vq"):
        loading.load_autoencoder("cifar_cnn")
    with pytest.raises(NotFound, match="did you mean"):
        loading.load_classifier("cifar_vot")


LOADERS = {
    "cifar_cnn": lambda: loading.load_classifier("cifar_cnn"),
    "cifar_vit": lambda: loading.load_classifier("cifar_vit"),
    "cifar_vae": lambda: loading.load_autoencoder("cifar_vae"),
    "cifar_vq": lambda: loading.load_autoencoder("cifar_vq"),
    "cifar_sngan": lambda: loading.load_decoder("cifar_sngan"),
    "cbf_cnn": lambda: loading.load_classifier("cbf_cnn"),
    "cbf_vae": lambda: loading.load_decoder("cbf_vae"),
    "probe_images": loading.probe_images,
}


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    return tmp_path


def place(root, relative, content):
    (root / relative).parent.mkdir(parents=True, exist_ok=True)
    (root / relative).write_bytes(content)


@pytest.mark.parametrize("name", sorted(LOADERS))
def test_missing_files_are_reported(name, elsewhere):
    with pytest.raises(NotFound, match="expected the file"):
        LOADERS[name]()


@pytest.mark.parametrize("name", sorted(LOADERS))
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_files_are_reported(name, share, monkeypatch, tmp_path):
    original = catalogue.ROOT
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    for relative in catalogue.entry(name).files:
        place(tmp_path, relative, (original / relative).read_bytes())
    weights = catalogue.entry(name).files[0]
    content = (original / weights).read_bytes()
    place(tmp_path, weights, content[: int(share * len(content))])
    with pytest.raises(StoreCorrupt, match="is damaged") as caught:
        LOADERS[name]()
    assert str(tmp_path / weights) in str(caught.value)
    assert "reinstall the package" in str(caught.value)


def test_a_damaged_configuration_is_reported(monkeypatch, tmp_path):
    original = catalogue.ROOT
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    item = catalogue.entry("cifar_vae")
    config = json.loads((original / item.files[1]).read_text())
    place(tmp_path, item.files[0], (original / item.files[0]).read_bytes())
    place(tmp_path, item.files[1], b'{"latent_channels": ')
    with pytest.raises(StoreCorrupt, match=r"config\.json is damaged"):
        loading.load_autoencoder("cifar_vae")
    place(tmp_path, item.files[1], json.dumps(config | {"latent_channels": 5}).encode())
    with pytest.raises(StoreCorrupt, match=r"\(64, 8, 3, 3\) in the file and \(64, 5, 3, 3\) in"):
        loading.load_autoencoder("cifar_vae")


@torch.no_grad()
@pytest.mark.parametrize(("name", "low"), [("cifar_sngan", -1.0), ("cbf_vae", 0.0)])
def test_decoders_have_the_quality_of_their_cards(name, low):
    item = catalogue.entry(name)
    net = loading.load_decoder(name)
    assert not net.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in net.parameters())
    made = net(torch.randn(4, *item.latent_shape, generator=torch.Generator().manual_seed(0)))
    assert made.shape == (4, *item.input_shape)
    assert float(made.min()) >= low
    assert float(made.max()) <= 1.0


def test_a_damaged_architecture_is_reported(monkeypatch, tmp_path):
    original = catalogue.ROOT
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    weights, beside = catalogue.entry("cbf_vae").files
    place(tmp_path, weights, (original / weights).read_bytes())
    place(tmp_path, beside, b'{"architecture": {"latent": 0}}')
    with pytest.raises(StoreCorrupt, match=r"cbf_vae\.json is damaged \(latent: .*reinstall"):
        loading.load_decoder("cbf_vae")


def test_weights_of_another_net_are_reported(monkeypatch, tmp_path):
    original = catalogue.ROOT
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    other = (original / catalogue.entry("cifar_vit").files[0]).read_bytes()
    place(tmp_path, catalogue.entry("cifar_cnn").files[0], other)
    said = "other tensors than expected: the file lacks .* more; the module has no .*; reinstall"
    with pytest.raises(StoreCorrupt, match=said):
        loading.load_classifier("cifar_cnn")


def test_probe_arrays_of_another_shape_are_reported(elsewhere):
    target = elsewhere / catalogue.entry("probe_images").files[0]
    target.parent.mkdir(parents=True)
    np.savez(target, x=np.zeros((4, 8, 8, 3), np.uint8), y=np.zeros(4, np.int64))
    with pytest.raises(StoreCorrupt, match="arrays of another shape"):
        loading.probe_images()
