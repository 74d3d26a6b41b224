"""A generator and an oracle that do not fit: what is said, and that it helps."""

import re

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.generator import Generator, bounded, check_fit
from blackbox_am.errors import ShapeMismatch
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.studies.local import maximise

SIZE = re.compile(r'kind = "resize" and size = \[([\d, ]+)\]')
COLOUR = re.compile(r'kind = "colour" and channels = "(\w+)"')


@pytest.mark.parametrize(
    ("made", "taken"),
    [
        ((3, 16, 16), (3, 8, 8)),
        ((3, 8, 8), (1, 8, 8)),
        ((1, 8, 6), (3, 8, 6)),
        ((3, 16, 12), (1, 8, 8)),
        ((2, 40), (2, 100)),
    ],
)
def test_the_wrappers_that_are_suggested_make_them_fit(
    made: tuple[int, ...], taken: tuple[int, ...]
) -> None:
    with pytest.raises(ShapeMismatch, match=r"generator .*\[\[generators.NAME.wrap\]\]") as found:
        maximise(
            oracle=Simulated(taken),
            generator=Pixels(made),
            targets=["units:0"],
            queries_per_target=10,
        )
    assert found.value.field == "generator"
    generator: Generator = Pixels(made)
    for size in SIZE.findall(found.value.message):
        lengths = [int(n) for n in size.split(",")]
        generator = plugins.wrap_generator(generator, "resize", {"size": lengths})
    for channels in COLOUR.findall(found.value.message):
        generator = plugins.wrap_generator(generator, "colour", {"channels": channels})
    check_fit(generator, Simulated(taken).describe(), "it", "the oracle")


@pytest.mark.parametrize(
    ("made", "taken"), [((3, 8, 8), (4, 9, 9)), ((192,), (3, 8, 8)), ((5,), (7,))]
)
def test_where_no_wrapper_helps_none_is_suggested(
    made: tuple[int, ...], taken: tuple[int, ...]
) -> None:
    with pytest.raises(ShapeMismatch, match=r"it makes .* it takes .*; name another generator"):
        check_fit(Pixels(made), Simulated(taken).describe(), "it", "it")


def test_bounded_keeps_what_is_finite_and_gives_nan_for_the_rest() -> None:
    for length in (6, 7, 100, 4099):  # vectorised, and not
        values = torch.linspace(-0.5, 1.5, length)
        values[:3] = torch.tensor([torch.inf, -torch.inf, torch.nan])
        found = bounded(values)
        assert found[:3].isnan().all()
        assert torch.equal(found[3:], values[3:].clamp(0, 1))
    values = torch.tensor([-1.0, 0.5, 2.0], requires_grad=True)
    (slopes,) = torch.autograd.grad(bounded(values).sum(), values)
    assert slopes.tolist() == [0, 1, 0]
