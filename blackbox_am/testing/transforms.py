"""What every transformation must do. Subclass `TransformContract` and give it yours."""

from __future__ import annotations

import pytest
import torch

from blackbox_am.core.chain import Chain
from blackbox_am.core.transform import Draw, Transform
from blackbox_am.errors import InvalidSpec

SHAPES = ((3, 8, 10), (2, 24))
"""Of images and series."""
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def stimuli_of(shape: tuple[int, ...], rows: int = 3) -> torch.Tensor:
    """(rows, *shape) float64 random stimuli between .2 and .8, so that small changes are not cut
    off.
    """
    generator = torch.Generator().manual_seed(1)
    return 0.2 + 0.6 * torch.rand(rows, *shape, generator=generator, dtype=torch.float64)


class TransformContract:
    """Override the fixture `transform`; the tests are inherited.

    Example:
        >>> class TestMine(TransformContract):
        ...     @pytest.fixture
        ...     def transform(self):
        ...         return Mine()
    """

    @pytest.fixture
    def transform(self) -> Transform:
        raise NotImplementedError("override the fixture `transform` with yours")

    @pytest.fixture(params=SHAPES)
    def shape(self, transform: Transform, request: pytest.FixtureRequest) -> tuple[int, ...]:
        """The shape of the stimuli, of images and of series in turn."""
        shape: tuple[int, ...] = request.param
        if transform.images_only and len(shape) == 2:
            pytest.skip("it changes images only")
        return shape

    def test_stimuli_keep_their_shape_and_range(
        self, transform: Transform, shape: tuple[int, ...]
    ) -> None:
        change = Chain((transform,)).draw(shape, 0, 0)
        for dtype in (torch.float32, torch.float64):
            stimuli = stimuli_of(shape).to(dtype)
            before = stimuli.clone()
            shown = change(stimuli)
            assert shown.shape == stimuli.shape
            assert shown.dtype == dtype
            assert shown.min() >= 0
            assert shown.max() <= 1
            assert torch.equal(stimuli, before)

    def test_a_draw_follows_from_its_position(
        self, transform: Transform, shape: tuple[int, ...]
    ) -> None:
        stimuli = stimuli_of(shape)
        first = Chain((transform,), 3).draw(shape, 2, 1)(stimuli)
        assert torch.equal(first, Chain((transform,), 3).draw(shape, 2, 1)(stimuli))
        state = torch.random.get_rng_state()
        others = [
            Chain((transform,), seed).draw(shape, generation, copy)(stimuli)
            for seed, generation, copy in ((4, 2, 1), (3, 1, 1), *((3, 2, c) for c in range(2, 20)))
        ]
        assert torch.equal(torch.random.get_rng_state(), state)
        if transform.kind != "pad":  # the only one without random numbers
            assert any(not torch.equal(first, other) for other in others)

    def test_rows_are_changed_alike_and_alone(
        self, transform: Transform, shape: tuple[int, ...]
    ) -> None:
        stimuli = stimuli_of(shape)
        change = Chain((transform,)).draw(shape, 0, 0)
        whole = change(stimuli)
        for row in range(len(stimuli)):
            alone = change(stimuli[row : row + 1])
            torch.testing.assert_close(alone, whole[row : row + 1], rtol=0, atol=1e-12)

    def test_gradients_are_those_of_finite_differences(
        self, transform: Transform, shape: tuple[int, ...]
    ) -> None:
        change = Chain((transform,), clip=False).draw(shape, 1, 0)
        stimuli = stimuli_of(shape, 1).requires_grad_()
        assert torch.autograd.gradcheck(change, stimuli, atol=1e-6)

    def test_it_says_how_large_the_canvas_becomes(
        self, transform: Transform, shape: tuple[int, ...]
    ) -> None:
        channels, *size = shape
        height, width = size if len(size) == 2 else (1, *size)
        draw = Draw(channels, height, width, torch.Generator().manual_seed(0))
        canvas = stimuli_of((channels, height, width))
        changed = transform.draw(draw)(canvas)
        assert tuple(changed.shape) == (3, channels, *transform.size_after(height, width))

    @pytest.mark.parametrize("device", DEVICES)
    def test_it_works_on_every_device(
        self, transform: Transform, shape: tuple[int, ...], device: str
    ) -> None:
        stimuli = stimuli_of(shape).float()
        change = Chain((transform,)).draw(shape, 0, 0)
        there = change(stimuli.to(device))
        assert there.device.type == device
        torch.testing.assert_close(there.cpu(), change(stimuli), rtol=1e-4, atol=1e-4)

    def test_table_rows_and_clips_are_refused(self, transform: Transform) -> None:
        for shape in ((5,), (2, 3, 8, 8)):
            with pytest.raises(InvalidSpec, match="transformations need images") as caught:
                transform.check(shape)
            assert caught.value.field == "transforms"
        if transform.images_only:
            with pytest.raises(InvalidSpec, match=transform.kind):
                transform.check((1, 24))
