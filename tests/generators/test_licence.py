"""Under which terms weights may be used, as far as anybody says."""

import pytest

from blackbox_am.catalogue import Catalogue
from blackbox_am.generators.diffusers.diffusers_vae import DiffusersVAE
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.generators.wrappers.antialias import Antialias


@pytest.mark.parametrize("name", ["cifar_vae", "cifar_vq_codes", "cifar_sngan", "cbf_vae"])
def test_what_ships_is_ours(name):
    assert Catalogue.default().generator(name).licence == "Apache-2.0"


def test_formulas_have_no_weights():
    assert Pixels().licence == ""


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        (
            "---\nlibrary_name: diffusers\nlicense: creativeml-openrail-m\n---\n# A model",
            "creativeml-openrail-m",
        ),
        ("# A model\nlicense: none of this is a card's head", ""),
        (None, ""),
    ],
)
def test_a_folder_says_it_in_its_model_card(tmp_path, card, licence):
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    generator = DiffusersVAE(str(tmp_path))
    assert generator.licence == licence
    assert Antialias(generator).licence == licence
