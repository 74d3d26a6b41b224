"""transformed: which copies the model sees, what they cost, and when they are drawn."""

import pytest
import torch
from torch import nn

from blackbox_am.core.chain import Chain, Position, drawn_at
from blackbox_am.core.metering import metering
from blackbox_am.core.types import Accounting
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, Unsupported
from blackbox_am.evaluation.batching import SharedBatches
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.oracles.wrappers.delivery.retry import Retry
from blackbox_am.oracles.wrappers.measurement.transformed import Transformed, draws_anew
from blackbox_am.transforms.colour import Colour
from blackbox_am.transforms.crop import Crop
from blackbox_am.transforms.jitter import Jitter
from blackbox_am.transforms.rotate import Rotate
from blackbox_am.transforms.scale import Scale

UNITS = [Unit("units", j) for j in range(3)]
SMALL = (Scale(), Rotate(), Jitter())


class Watched(Simulated):
    """A simulated model that keeps what it saw."""

    def observe(self, stimuli, units):
        vars(self).setdefault("seen", []).append(stimuli)
        return super().observe(stimuli, units)


def images(rows: int = 4) -> torch.Tensor:
    return torch.rand(rows, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_answer_is_the_mean_over_the_copies() -> None:
    simulated, stimuli = Simulated(), images()
    oracle = Transformed(simulated, SMALL, copies=3, seed=7)
    with metering() as meter:
        answer = oracle.observe(stimuli, UNITS)
    assert meter.total == Accounting(calls=1, rows=12)
    shown = torch.stack(
        [
            simulated.observe(Chain(SMALL, 7).draw((3, 8, 8), 0, copy)(stimuli), UNITS)
            for copy in range(3)
        ]
    )
    torch.testing.assert_close(answer, shown.mean(0))
    assert (shown.std(0) > 0).all()


def test_no_call_has_more_rows_than_the_model_prefers() -> None:
    inner = Watched(batch_size=16)
    oracle = Transformed(inner, SMALL, copies=10)
    assert oracle.describe().batch_size == 1
    oracle.observe(images(4), UNITS)
    assert [len(seen) for seen in vars(inner)["seen"]] == [16, 16, 8]
    assert Transformed(inner, SMALL, copies=4).describe().batch_size == 4


def test_fixed_draws_depend_on_the_seed_alone() -> None:
    stimuli = images()
    first = Transformed(Simulated(), SMALL, seed=1)
    assert first.describe().deterministic
    expected = first.observe(stimuli, UNITS)
    with drawn_at(Position(5, (0, 1, 2, 3))):
        assert torch.equal(
            Transformed(Simulated(), SMALL, seed=1).observe(stimuli, UNITS), expected
        )
    assert not torch.equal(
        Transformed(Simulated(), SMALL, seed=2).observe(stimuli, UNITS), expected
    )
    still = Transformed(Simulated(), (Scale(0.0), Jitter(0.0)), copies=2)
    torch.testing.assert_close(
        still.observe(stimuli, UNITS), Simulated().observe(stimuli, UNITS), rtol=1e-4, atol=1e-5
    )


def test_draws_of_a_generation_are_the_same_for_all_rows_and_new_in_the_next() -> None:
    oracle = Transformed(Simulated(), SMALL, redraw="generation")
    assert not oracle.describe().deterministic
    same = images(1).expand(4, -1, -1, -1)
    answers = []
    for generation in (0, 1, 0):
        with drawn_at(Position(generation)):
            answers.append(oracle.observe(same, UNITS))
    torch.testing.assert_close(answers[0], answers[0][:1].expand(4, -1))
    assert torch.equal(answers[0], answers[2])
    assert not torch.equal(answers[0], answers[1])


def test_repeated_measurements_have_draws_of_their_own() -> None:
    oracle = Transformed(Simulated(), SMALL, redraw="generation")
    same = images(1).expand(6, -1, -1, -1)
    with drawn_at(Position(3, (0, 1, 2, 0))):  # the last two rows fill up the batch
        answers = oracle.observe(same, UNITS)
    torch.testing.assert_close(answers[0], answers[3])
    torch.testing.assert_close(answers[4:], answers[3:4].expand(2, -1))
    assert len({round(float(value), 6) for value in answers[:3, 0]}) == 3
    with drawn_at(Position(3)):
        torch.testing.assert_close(oracle.observe(same[:1], UNITS)[0], answers[0])


def test_failed_copies_are_left_out_of_the_mean() -> None:
    class Failing(Simulated):
        def observe(self, stimuli, units):
            answer = super().observe(stimuli, units)
            return answer.index_fill(0, torch.tensor([0]), torch.nan)

    answer = Transformed(Failing(), SMALL, copies=3).observe(images(2), UNITS)
    assert answer.isfinite().all()
    assert Transformed(Failing(), SMALL, copies=1).observe(images(2), UNITS)[0].isnan().all()


def test_values_are_cut_off_unless_the_study_says_otherwise() -> None:
    for clip in (True, False):
        inner = Watched()
        Transformed(inner, (Colour(1.0, 1.0),), clip=clip).observe(images(), UNITS)
        (seen,) = vars(inner)["seen"]
        assert (float(seen.min()) >= 0 and float(seen.max()) <= 1) == clip


def test_what_does_not_fit_together_is_said() -> None:
    for parameters, message in (
        ({"transforms": ()}, "transforms: expected one transformation or more"),
        ({"copies": 0}, "copies: expected 1 to 1024"),
        ({"redraw": "daily"}, "redraw: expected fixed or generation"),
        ({"transforms": (Crop(0.5, 0.1, 10),)}, "crop has a schedule .*; set redraw to"),
    ):
        with pytest.raises(InvalidSpec, match=message):
            Transformed(Simulated(), **({"transforms": SMALL} | parameters))
    with pytest.raises(InvalidSpec, match=r"scale: transformations need images .* shape \(5,\)"):
        Transformed(Simulated((5,)), SMALL).describe()


def test_a_part_of_a_batch_keeps_the_draws_of_its_rows() -> None:
    chosen = torch.tensor([True, False, True, True])
    assert Position(2, (4, 5, 6)).only(chosen) == Position(2, (4, 6))
    assert Position(2).only(chosen) == Position(2)


def test_studies_share_no_batch_of_a_model_whose_answers_depend_on_the_generation() -> None:
    fixed, anew = (Transformed(Simulated(), SMALL, redraw=way) for way in ("fixed", "generation"))
    assert draws_anew(Retry(anew))
    assert not draws_anew(Retry(fixed))
    with pytest.raises(Unsupported, match="each study asks it alone"):
        SharedBatches(Pixels((3, 8, 8)), Retry(anew), 8)
    SharedBatches(Pixels((3, 8, 8)), Retry(fixed), 8).close()


@pytest.mark.parametrize("redraw", ["fixed", "generation"])
def test_gradients_through_the_copies_are_those_of_finite_differences(redraw: str) -> None:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(32, 3))
    network = TorchModule(nn.Sequential(*layers).double(), (1, 6, 6), device="cpu")
    oracle = Transformed(network, (*SMALL, Colour(0.1, 0.1)), copies=3, redraw=redraw)
    units = [Unit("3", j) for j in range(3)]
    stimuli = 0.3 + 0.4 * torch.rand(2, 1, 6, 6, dtype=torch.float64)
    with drawn_at(Position(1)):
        assert torch.autograd.gradcheck(
            lambda shown: oracle.observe(shown, units), stimuli.requires_grad_(), atol=1e-6
        )
