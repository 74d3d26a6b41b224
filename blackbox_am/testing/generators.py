"""What every generator must do. Subclass `GeneratorContract` and give it your generator."""

from __future__ import annotations

import pytest
import torch

from blackbox_am.core.generator import Generator
from blackbox_am.core.rng import Stream
from blackbox_am.errors import CapabilityMissing, ShapeMismatch

ROWS = 8


def latents_for(generator: Generator, rows: int = ROWS, seed: int = 0) -> torch.Tensor:
    """(rows, D) latents from the generator's prior."""
    return generator.space.sample(Stream(seed, "contract", 0), rows)[0]


class GeneratorContract:
    """Override the fixture `generator`; the tests are inherited."""

    @pytest.fixture
    def generator(self) -> Generator:
        raise NotImplementedError("override the fixture `generator` with yours")

    def test_stimuli_have_the_shape_it_names(self, generator: Generator) -> None:
        for rows in (1, ROWS):
            stimuli = generator.render(latents_for(generator, rows))
            assert stimuli.shape == (rows, *generator.stimulus_shape)
            assert stimuli.dtype == torch.float32

    def test_stimuli_lie_between_0_and_1(self, generator: Generator) -> None:
        stimuli = generator.render(latents_for(generator))
        assert stimuli.isfinite().all()
        assert stimuli.min() >= 0
        assert stimuli.max() <= 1

    def test_stimuli_differ(self, generator: Generator) -> None:
        stimuli = generator.render(latents_for(generator))
        assert not torch.equal(stimuli[0], stimuli[1])

    def test_what_cannot_be_rendered_is_nan_in_its_own_row(self, generator: Generator) -> None:
        latents = latents_for(generator)
        if not latents.is_floating_point():
            pytest.skip("codes cannot be nan")
        stimuli = generator.render(latents)
        latents[1] = torch.nan
        spoilt = generator.render(latents)
        assert not spoilt[1].isfinite().all()
        assert torch.equal(spoilt[2:], stimuli[2:])

    def test_same_latents_same_stimuli(self, generator: Generator) -> None:
        latents = latents_for(generator)
        before = latents.clone()
        assert torch.equal(generator.render(latents), generator.render(latents))
        assert torch.equal(latents, before)

    def test_rows_do_not_mix(self, generator: Generator) -> None:
        latents = latents_for(generator)
        stimuli = generator.render(latents)
        torch.testing.assert_close(
            generator.render(latents.flip(0)), stimuli.flip(0), rtol=1e-3, atol=1e-4
        )

    def test_the_prior_lies_in_the_space(self, generator: Generator) -> None:
        latents = latents_for(generator)
        assert latents.shape == (ROWS, generator.space.dim)
        torch.testing.assert_close(generator.space.project(latents), latents)

    def test_latents_of_another_size_are_refused(self, generator: Generator) -> None:
        latents = latents_for(generator)
        for wrong in (torch.cat([latents, latents[:, :1]], dim=1), latents[0]):
            with pytest.raises(ShapeMismatch, match="latents"):
                generator.render(wrong)

    def test_latents_of_another_kind_are_refused(self, generator: Generator) -> None:
        latents = latents_for(generator)
        wrong = latents.to(torch.int64) if latents.is_floating_point() else latents.float()
        with pytest.raises(ShapeMismatch, match="latents"):
            generator.render(wrong)

    def test_gradients_as_declared(self, generator: Generator) -> None:
        latents = latents_for(generator)
        if latents.is_floating_point():
            latents.requires_grad_()
        stimuli = generator.render(latents)
        if not generator.differentiable:
            assert not stimuli.requires_grad
            return
        (slopes,) = torch.autograd.grad(stimuli[0].sum(), latents)
        assert slopes[0].isfinite().all()
        assert slopes[0].abs().max() > 0
        assert slopes[1:].abs().max() == 0
        with torch.no_grad():
            assert not generator.render(latents).requires_grad

    def test_encodes_as_declared(self, generator: Generator) -> None:
        stimuli = generator.render(latents_for(generator)).detach()
        if not generator.encodes:
            with pytest.raises(CapabilityMissing, match="encoder"):
                generator.encode(stimuli)
            return
        latents = generator.encode(stimuli.requires_grad_())
        assert latents.shape == (ROWS, generator.space.dim)
        assert latents.dtype == (generator.space.dtype or torch.float32)
        assert latents.isfinite().all()
        assert not latents.requires_grad
        torch.testing.assert_close(generator.space.project(latents), latents)
        generator.render(latents)
        with pytest.raises(ShapeMismatch, match="stimuli"):
            generator.encode(stimuli[0])

    def test_moving_it_where_it_is_changes_nothing(self, generator: Generator) -> None:
        latents = latents_for(generator)
        before = generator.render(latents)
        generator.to("cpu")
        assert torch.equal(generator.render(latents), before)

    @pytest.mark.cuda
    def test_a_cuda_device_renders_the_same_stimuli(self, generator: Generator) -> None:
        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device; torch sees none")
        latents = latents_for(generator)
        expected = generator.render(latents)
        generator.to("cuda")
        try:
            stimuli = generator.render(latents.cuda())
            # Convolutions on CUDA round their operands to 10 bits by default.
            torch.testing.assert_close(stimuli.cpu(), expected, rtol=0, atol=2e-2)
            again = generator.render(latents.cuda())
            assert torch.equal(again, stimuli)
        finally:
            generator.to("cpu")
