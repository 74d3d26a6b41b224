"""The catalogue lists the shipped files and reports missing files clearly."""

import subprocess
import sys
from pathlib import Path

import pytest

from blackbox_am.errors import NotFound, StoreCorrupt
from blackbox_am.zoo import catalogue

PICTURES = (
    "cifar_cnn",
    "cifar_vit",
    "cifar_vae",
    "cifar_vq",
    "cifar_ldm",
    "cifar_sngan",
    "probe_images",
)
SERIES = ("cbf_cnn", "cbf_vae")
ALL = (*PICTURES[:-1], *SERIES, "probe_images")


def test_names_are_complete_and_unique():
    assert catalogue.names() == ALL


@pytest.mark.parametrize("name", ALL)
def test_every_file_of_an_entry_ships(name):
    item = catalogue.entry(name)
    assert item.input_shape == ((1, 128) if name in SERIES else (3, 32, 32))
    assert catalogue.path(name).exists()
    for relative in item.files:
        assert (catalogue.ROOT / relative).is_file()


@pytest.mark.parametrize("name", ALL)
def test_shipped_files_can_be_read_by_everyone(name):
    for relative in catalogue.entry(name).files:
        assert (catalogue.ROOT / relative).stat().st_mode & 0o444 == 0o444


def test_shipped_folder_is_small():
    files = [p for p in catalogue.ROOT.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(p.stat().st_size for p in files) < 25_000_000


@pytest.mark.parametrize("name", ALL)
def test_cards_name_data_licence_and_retraining(name):
    card = catalogue.card(name)
    assert card.startswith(f"# {name}")
    data = ("Saito", "1994") if name in SERIES else ("CIFAR-10", "Krizhevsky")
    for word in (*data, "Apache-2.0", "python -m training"):
        assert word in card


@pytest.mark.parametrize("name", ["cifar_cnn", "cifar_vit"])
def test_classifier_cards_state_the_measured_accuracy(name):
    accuracy = catalogue.metadata(name)["accuracy_test_1000"]
    assert f"{100 * accuracy:.1f} %" in catalogue.card(name)
    assert "BSD-2" in catalogue.card(name)
    assert len(catalogue.entry(name).labels) == 10


def test_the_card_of_the_series_classifier_states_the_measured_accuracy():
    accuracy = catalogue.metadata("cbf_cnn")["accuracy_test_1500"]
    assert f"{100 * accuracy:.1f} %" in catalogue.card("cbf_cnn")
    assert len(catalogue.entry("cbf_cnn").labels) == 3


@pytest.mark.parametrize("name", ["cifar_sngan", "cbf_vae"])
def test_decoder_cards_state_the_latent_and_the_steps(name):
    facts = catalogue.metadata(name)
    assert (facts["architecture"]["latent"],) == catalogue.entry(name).latent_shape
    card = catalogue.card(name)
    assert f"{facts['parameters']:,}" in card
    assert f"{facts['steps']:,} steps" in card if "steps" in facts else f"{facts['epochs']}" in card


def test_the_card_of_the_diffusion_model_states_its_size_and_steps():
    facts, card = catalogue.metadata("cifar_ldm"), catalogue.card("cifar_ldm")
    assert f"{facts['parameters']:,}" in card
    assert f"{facts['steps']:,} steps of {facts['batch']}" in card
    assert f"{facts['scaling_factor']}" in card


@pytest.mark.parametrize("name", ["cifar_vae", "cifar_vq"])
def test_autoencoder_cards_state_the_measured_error(name):
    facts = catalogue.metadata(name)
    item = catalogue.entry(name)
    assert f"{facts['psnr_test_1000']:.1f} dB" in catalogue.card(name)
    assert tuple(facts["latent_shape"]) == item.latent_shape
    assert len(facts["latent_mean"]) == len(facts["latent_std"]) == item.latent_shape[0]
    assert all(value > 0 for value in facts["latent_std"])


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(NotFound, match=r"cifar_cn'.*did you mean .*'cifar_cnn'"):
        catalogue.entry("cifar_cn")
    with pytest.raises(NotFound, match="known: cbf_cnn"):
        catalogue.card("imagenet")


def test_the_error_of_a_missing_file_names_the_file_and_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    for name in ALL:
        with pytest.raises(NotFound, match="expected the file") as caught:
            catalogue.path(name)
        message = str(caught.value)
        assert str(tmp_path / catalogue.entry(name).files[0]) in message
        assert "reinstall the package" in message
        assert f"training {catalogue.entry(name).task}" in message
    with pytest.raises(NotFound, match=r"cards/cifar_cnn\.md"):
        catalogue.card("cifar_cnn")


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_damaged_metadata_is_reported(monkeypatch, tmp_path, content):
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    found = tmp_path / catalogue.entry("cifar_vae").files[-1]
    found.parent.mkdir(parents=True)
    found.write_text(content, encoding="utf-8")
    with pytest.raises(StoreCorrupt, match=r"cifar_vae\.json is damaged"):
        catalogue.metadata("cifar_vae")


def test_image_sets_have_no_metadata():
    assert catalogue.metadata("probe_images") == {}


def test_importing_the_zoo_imports_no_torch():
    # Loaded by its files, so that what the top-level package imports plays no part.
    script = (
        "import sys, types\n"
        "top = types.ModuleType('blackbox_am'); top.__path__ = [sys.argv[1]]\n"
        "sys.modules['blackbox_am'] = top\n"
        "import blackbox_am.zoo, blackbox_am.zoo.loading\n"
        "assert 'torch' not in sys.modules and 'diffusers' not in sys.modules\n"
    )
    package = Path(catalogue.__file__).parents[1]
    subprocess.run([sys.executable, "-c", script, str(package)], check=True, timeout=60)
