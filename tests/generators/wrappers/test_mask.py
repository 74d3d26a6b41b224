"""mask: what stays, what moves, and from which files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from blackbox_am import plugins
from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.generators.wrappers.mask import Mask


def test_only_free_inputs_come_from_the_generator() -> None:
    row = Mask(Pixels((4,)), (0.1, 0.2, 0.3, 0.4), (True, False, False, True))
    made = row.render(torch.tensor([[0.9, 0.8, 0.7, 0.6]]))
    torch.testing.assert_close(made, torch.tensor([[0.9, 0.2, 0.3, 0.6]]))


def test_a_picture_of_one_channel_stands_for_all() -> None:
    free = np.zeros((4, 5), bool)
    free[1:3] = True
    latents = torch.rand(2, 60)
    made = Mask(Pixels((3, 4, 5)), 0.5, free.tolist()).render(latents)
    images = latents.reshape(2, 3, 4, 5)
    assert torch.equal(made[:, :, 1:3], images[:, :, 1:3])
    assert (made[:, :, [0, 3]] == 0.5).all()


def test_fixed_inputs_have_no_gradient() -> None:
    latents = torch.rand(1, 3, requires_grad=True)
    Mask(Pixels((3,)), 0.5, (1, 0, 1)).render(latents).sum().backward()
    assert latents.grad.tolist() == [[1.0, 0.0, 1.0]]


def test_a_compact_generator_makes_only_what_is_free() -> None:
    base = torch.rand(2, 3)
    free = ((1, 0, 0), (1, 0, 1))
    compact = Mask(Pixels((3,)), base.tolist(), free, compact=True)
    assert compact.stimulus_shape == (2, 3)
    assert compact.space.dim == 3
    latents = torch.rand(5, 3, requires_grad=True)
    made = compact.render(latents)
    assert torch.equal(made[:, [0, 1, 1], [0, 0, 2]], latents)
    assert torch.equal(made[:, [0, 0, 1], [1, 2, 1]], base[[0, 0, 1], [1, 2, 1]].expand(5, 3))
    made.sum().backward()
    assert (latents.grad == 1).all()


def test_the_value_of_white_in_a_file_is_of_the_base_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "row.npz")
    np.savez(path, base=np.array([4095, 0, 0], np.uint16), free=np.array([0, 1, 1]), white=4095)
    made = Mask(Pixels((3,)), path, path).render(torch.tensor([[0.3, 0.4, 0.5]]))
    torch.testing.assert_close(made, torch.tensor([[1.0, 0.4, 0.5]]))


def test_values_come_from_files(tmp_path: Path) -> None:
    base = np.random.default_rng(0).integers(0, 256, (2, 3), np.uint8)
    free = np.array([[True, False, True], [False, False, True]])
    np.save(tmp_path / "base.npy", base)
    save_file({"base": base, "free": free, "other": free}, tmp_path / "both.safetensors")
    save_file({"any": free.astype(np.uint8)}, tmp_path / "one.safetensors")
    latents = torch.rand(4, 6)
    expected = torch.where(
        torch.tensor(free), latents.reshape(4, 2, 3), torch.tensor(base / 255).float()
    )
    for base_file, free_file in (
        ("base.npy", "one.safetensors"),
        ("both.safetensors", "both.safetensors"),
    ):
        parameters = {"base": str(tmp_path / base_file), "free": str(tmp_path / free_file)}
        made = plugins.wrap_generator(Pixels((2, 3)), "mask", parameters)
        torch.testing.assert_close(made.render(latents), expected)


class Loud:
    """Says so where it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("code in a file was run",))


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    np.save(tmp_path / "loud.npy", np.array([Loud()], object), allow_pickle=True)
    with pytest.raises(InvalidSpec, match=r"cannot read .*loud"):
        Mask(Pixels((1,)), str(tmp_path / "loud.npy"))


@pytest.mark.parametrize(
    ("base", "free", "message"),
    [
        (1.5, True, r"base: expected values in \[0, 1\], got '1.5 to 1.5'"),
        ((0.5, float("nan")), True, "base: expected values"),
        ((), True, "base: expected values, got 'none'"),
        (0.5, (False, False), "at least one free"),
        (0.5, (0, 2), "true or false, 1 or 0"),
        (((0.5, 0.5), (0.5,)), True, "lists of equal lengths"),
        (("a", "b"), True, "base: expected numbers"),
        ("base.png", True, r"a file .npy, .npz, .safetensors, got 'base.png'"),
    ],
)
def test_bad_values_are_said(base, free, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        Mask(Pixels((2,)), base, free)


def test_bad_files_are_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        Mask(Pixels((2,)), str(tmp_path / "nothing.npy"))
    (tmp_path / "broken.safetensors").write_bytes(b"broken")
    with pytest.raises(InvalidSpec, match="cannot read"):
        Mask(Pixels((2,)), str(tmp_path / "broken.safetensors"))
    save_file({"a": np.ones(2), "b": np.ones(2)}, tmp_path / "two.safetensors")
    with pytest.raises(InvalidSpec, match="one called 'base'; got a, b"):
        Mask(Pixels((2,)), str(tmp_path / "two.safetensors"))


def test_shapes_that_do_not_fit_are_said() -> None:
    with pytest.raises(InvalidSpec, match=r"free: expected the shape .*\(3, 4, 4\), got \(5,\)"):
        _ = Mask(Pixels((3, 4, 4)), 0.5, (True,) * 5).stimulus_shape
    with pytest.raises(InvalidSpec, match="base: expected the shape"):
        _ = Mask(Pixels((2,)), ((0.5, 0.5), (0.5, 0.5))).stimulus_shape
    with pytest.raises(InvalidSpec, match=r"a generator of 2 values.*got \(3,\)"):
        _ = Mask(Pixels((3,)), 0.5, (1, 0, 1), compact=True).stimulus_shape
    with pytest.raises(InvalidSpec, match=r"free: expected the shape of base, \(3,\)"):
        _ = Mask(Pixels((3,)), (0.5,) * 3, (1, 0), compact=True).stimulus_shape
