import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.generator import check_latents
from blackbox_am.errors import InvalidInput, InvalidSpec, ShapeMismatch
from blackbox_am.generators.parametric.pixels import Pixels


def test_is_the_identity_in_the_box_and_cuts_off_outside() -> None:
    latents = torch.tensor([[0.0, 0.25, 1.0, 2.0], [-1.0, 0.5, 0.75, 0.125]])
    expected = torch.tensor([[[0.0, 0.25], [1.0, 1.0]], [[0.0, 0.5], [0.75, 0.125]]])
    assert torch.equal(Pixels((2, 2)).render(latents), expected)


def test_images_are_known_as_such() -> None:
    assert Pixels((3, 4, 5)).space.spec.image_shape == (3, 4, 5)
    assert Pixels((60,)).space.spec.image_shape == ()
    assert Pixels((60,)).space.dim == 60


@pytest.mark.parametrize("shape", [(), (3, 0)])
def test_bad_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidSpec, match="shape"):
        plugins.generators.build("pixels", {"shape": shape})


def test_values_from_outside_are_checked_at_the_edge() -> None:
    space = Pixels((3,)).space
    check_latents(space, torch.rand(2, 3))
    with pytest.raises(InvalidInput, match=r"expected finite numbers, got nan in row 1, coord.* 2"):
        check_latents(space, torch.tensor([[0, 0, 0], [0, 0, torch.nan]]))
    with pytest.raises(ShapeMismatch, match=r"expected shape \(N, 3\), got \(2, 4\)"):
        check_latents(space, torch.rand(2, 4))
