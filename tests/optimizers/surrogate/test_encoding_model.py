"""The encoding model: what its readout learns, what it gains, and what a bad network costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core import state as states
from blackbox_am.core.capability import Capability
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, NotFound, ShapeMismatch, UnknownUnit, Unsupported
from blackbox_am.generators.diffusers.diffusers_vq import DiffusersVQ
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.optimizers.surrogate import _readout
from blackbox_am.optimizers.surrogate._readout import fit, normal_scores
from blackbox_am.optimizers.surrogate._surrogate import spread_layers, surrogate
from blackbox_am.optimizers.surrogate.encoding_model import EncodingModel
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.studies.equipment import no_network
from blackbox_am.testing.local_models import STIMULUS, Canvas, tiny_network
from blackbox_am.testing.searches import Search, finite

SPACE = build_space(SpaceSpec("normal", 32))
CANVAS = Canvas(SPACE.spec)
TARGETS = range(8)


@dataclass(frozen=True)
class Liar(Oracle):
    """A network that does harm: its units answer as the targets do, but for the lie.

    Attributes:
        lie: `slope` reverses gradients and tells values truly; `value` tells values that have
            nothing to do with the stimulus but for changing with it.
    """

    kind: ClassVar[str] = "liar"

    lie: str

    def describe(self) -> OracleInfo:
        layer = LayerInfo("told", "scores", (len(TARGETS),), ("unit",))
        return OracleInfo(self.kind, Capability.GRADIENTS, STIMULUS, (layer,))

    def observe(self, stimuli: torch.Tensor, units: Any) -> torch.Tensor:
        values = _hidden(stimuli)
        told = 2 * values.detach() - values if self.lie == "slope" else torch.sin(1e3 * values)
        return told[:, [unit.index for unit in units]]


def _hidden(stimuli: torch.Tensor) -> torch.Tensor:
    """(N, 8) what each target responds to: a mixture of the tiny network's channels, and a little
    of something that the network does not see.
    """
    units = surrogate("t", "t", (), CANVAS, lambda _: tiny_network()).units
    features = tiny_network().observe(stimuli, units)
    one, two = _numbers(2, len(units), len(TARGETS))
    unseen = stimuli.flatten(1) @ _numbers(stimuli[0].numel(), len(TARGETS))
    return features @ one - (features @ two).square() + 0.005 * unseen


def _numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(math.prod(shape)))


def _best(
    name: str,
    network: Oracle | None,
    queries: int,
    targets: Sequence[int] = TARGETS,
    **parameters: Any,
) -> tuple[torch.Tensor, Any]:
    """(K, generations) the best score of each target by then, and the last state."""
    optimizer = plugins.optimizers.build(name, parameters)
    optimizer = optimizer.bind(CANVAS, lambda _: network or tiny_network())
    state = optimizer.init(SPACE, len(targets), Stream(3, "init", 0, targets))
    curve = []
    with torch.no_grad():
        for generation in range(queries // 20):
            latents = optimizer.ask(SPACE, state, Stream(3, "ask", generation, targets))
            pairs = zip(latents, targets, strict=True)
            scores = torch.stack([_hidden(CANVAS.render(rows))[:, k] for rows, k in pairs])
            curve.append(scores.amax(1))
            state = optimizer.tell(SPACE, state, latents, scores)
    return torch.stack(curve, 1).cummax(1).values, state


@pytest.fixture(scope="module")
def plain() -> torch.Tensor:
    return _best("snes", None, 600)[0]


def test_gains_where_the_network_knows_what_counts(plain: torch.Tensor) -> None:
    guided, state = _best("encoding_model", None, 300)
    assert _gained(guided, plain).median() > 1.05
    assert state.weights.any(1).all()


@pytest.mark.parametrize(
    ("lie", "screening"),
    [
        ("slope", 4),
        ("value", 1),
        pytest.param("slope", 1, marks=pytest.mark.slow),
        pytest.param("value", 4, marks=pytest.mark.slow),
    ],
)
def test_a_network_that_misleads_costs_next_to_nothing(
    lie: str, screening: int, plain: torch.Tensor
) -> None:
    misled, state = _best("encoding_model", Liar(lie), 400, screening=screening)
    assert _gained(misled, plain).median() > 0.95
    climbing = state.weights.any(1) & (state.share > 0.1)
    assert climbing.float().mean() < 0.5, "it goes on climbing what misleads it"


@pytest.mark.slow
def test_a_random_network_costs_next_to_nothing(plain: torch.Tensor) -> None:
    misled, _ = _best("encoding_model", tiny_network(seed=1), 400)
    assert _gained(misled, plain).median() > 0.95


def test_a_target_that_follows_the_path_does_not_know_the_others() -> None:
    _, together = _best("encoding_model", None, 160)
    for target in (1, 6):
        _, alone = _best("encoding_model", None, 160, targets=(target,))
        assert together.share[target] != 0.25, "it has followed no path"
        for name, tensor in states.arrays(alone).items():
            assert torch.equal(tensor[0], getattr(together, name)[target]), name


def _gained(found: torch.Tensor, plain: torch.Tensor) -> torch.Tensor:
    """What each target has gained since its first generation, in units of what SNES has."""
    last = plain[:, found.shape[1] - 1]
    return (found[:, -1] - plain[:, 0]) / (last - plain[:, 0])


# The readout


def _rows(rows: int, width: int) -> torch.Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(("rows", "width"), [(40, 60), (200, 10)])
def test_a_readout_is_the_ridge_regression_of_textbooks(rows: int, width: int) -> None:
    features = _rows(rows, width) * torch.linspace(0.1, 50, width) + 3
    scores = features[:, 0] - 0.02 * features[:, -1] + 2 * _rows(rows, 1)[:, 0]
    readout = fit(features, scores)
    wanted = normal_scores(scores)
    standard = (features - features.mean(0)).double() / features.double().std(0) / width**0.5
    found = readout.weights * features.double().std(0) * width**0.5
    # The penalty follows from the normal equations; it must be one, and the same for all.
    right = standard.T @ wanted - standard.T @ standard @ found
    penalty = (right @ found) / (found @ found)
    torch.testing.assert_close(right, penalty * found, rtol=1e-4, atol=1e-6)
    left_out = []
    for row in range(rows):
        others = torch.arange(rows) != row
        centred = standard[others] - standard[others].mean(0)
        part = torch.linalg.solve(
            centred.T @ centred + penalty * torch.eye(width, dtype=torch.float64),
            centred.T @ (wanted[others] - wanted[others].mean()),
        )
        predicted = wanted[others].mean() + (standard[row] - standard[others].mean(0)) @ part
        left_out.append(wanted[row] - predicted)
    error = torch.stack(left_out).square().mean() / wanted.square().mean()
    assert readout.explained == pytest.approx(1 - float(error), abs=1e-6)


def test_collinear_constant_and_huge_features_do_no_harm() -> None:
    base = _rows(300, 6)
    columns = [base, base @ _rows(6, 40), 1e9 * base, torch.full((300, 3), 7.0), 1e-12 * base]
    features = torch.cat(columns, 1)
    readout = fit(features, base[:, 2] + 0.1 * _rows(300, 1)[:, 0])
    assert readout.weights.isfinite().all()
    assert readout.explained > 0.9
    predicted = features.double() @ readout.weights
    assert torch.corrcoef(torch.stack([predicted, base[:, 2].double()]))[0, 1] > 0.95


@pytest.mark.parametrize("rows", [0, 1, 2, 50])
def test_nothing_is_learned_from_nothing(rows: int) -> None:
    for features, scores in (
        (_rows(rows, 8), torch.ones(rows)),
        (torch.ones(rows, 8), _rows(rows, 1).flatten()),
    ):
        readout = fit(features, scores)
        assert not readout.weights.any()
        assert readout.explained == 0


def test_unrelated_features_explain_nothing() -> None:
    scores = torch.randn(200, generator=torch.Generator().manual_seed(1))
    assert fit(_rows(200, 300), scores).explained < 0.03


def test_normal_scores_know_order_alone() -> None:
    scores = torch.tensor([3.0, -math.inf, 7.0, 3.0, math.inf], dtype=torch.float64)
    found = normal_scores(scores)
    assert found.isfinite().all()
    assert found[0] == found[3]
    assert found.argsort().tolist()[0] == 1
    assert found.argsort().tolist()[-2:] == [2, 4]
    torch.testing.assert_close(found, normal_scores(torch.tensor([2.0, 0.0, 3.0, 2.0, 9.0])))


# Rows that fail


def test_failed_rows_are_not_fitted_to() -> None:
    search = Search(EncodingModel(), SPACE, targets=(0,), score=_mean_pixel)
    for _ in range(6):
        latents = search.ask()
        scores = search.scores(latents)
        scores[:, ::3] = torch.nan
        search.tell(latents, scores)
    assert search.state.known.sum() == 6 * 13
    assert finite(search.state)
    assert search.state.weights.any()


def _mean_pixel(latents: torch.Tensor, target: int) -> torch.Tensor:
    del target
    return CANVAS.render(latents).flatten(1).mean(1)


def test_a_network_that_answers_nan_leaves_plain_snes() -> None:
    class Broken(Liar):
        def observe(self, stimuli: torch.Tensor, units: Any) -> torch.Tensor:
            return stimuli.flatten(1)[:, : len(units)] * torch.nan

    broken, state = _best("encoding_model", Broken("slope"), 200)
    assert torch.equal(broken, _best("snes", None, 200)[0])
    assert finite(state)


# What it needs


def test_layers_are_spread_over_the_depth() -> None:
    layers = tuple(LayerInfo(str(i), "conv", (3,), ("unit",), i % 2 == 1) for i in range(22))
    info = OracleInfo("toy", Capability.GRADIENTS, (3,), layers)
    assert spread_layers(info) == ["1", "5", "9", "13", "17", "21"]
    few = OracleInfo("toy", Capability.GRADIENTS, (3,), layers[:1])
    assert spread_layers(few) == ["0"]


def test_reads_the_layers_it_is_told() -> None:
    found = surrogate("mine", "net", ("0", "3"), CANVAS, lambda _: tiny_network())
    assert [str(unit) for unit in found.units] == [f"0:{i}" for i in range(6)] + [
        f"3:{i}" for i in range(5)
    ]


def test_maps_are_means_over_cells() -> None:
    latents = _rows(3, SPACE.dim)
    mapped = surrogate("mine", "net", ("0", "3"), CANVAS, lambda _: tiny_network(), 2)
    whole = surrogate("mine", "net", ("0",), CANVAS, lambda _: tiny_network(), 4)
    assert (mapped.width, whole.width) == (6 * 4 + 5, 6 * 16)
    fine = whole.features(latents).reshape(3, 6, 2, 2, 2, 2)
    torch.testing.assert_close(
        mapped.features(latents)[:, :24].reshape(3, 6, 2, 2), fine.mean((3, 5))
    )
    units = surrogate("mine", "net", ("3",), CANVAS, lambda _: tiny_network()).features(latents)
    torch.testing.assert_close(mapped.features(latents)[:, 24:], units)


def test_a_map_knows_where_its_mean_does_not() -> None:
    """A place of a channel is explained by the channel's map and not by its mean."""
    latents = _rows(300, SPACE.dim)
    place = [Unit("0", channel, (1, 2)) for channel in range(6)]
    wanted = tiny_network().observe(CANVAS.render(latents), place).sum(1)
    means, maps = (
        fit(
            surrogate("mine", "net", ("0",), CANVAS, lambda _: tiny_network(), side).features(
                latents
            ),
            wanted,
        ).explained
        for side in (1, 8)
    )
    assert maps > 0.9
    assert means < 0.6


def test_maps_carry_gradients() -> None:
    guide = surrogate("mine", "net", ("0",), CANVAS, lambda _: tiny_network(), 8)
    latents = _rows(1, SPACE.dim).requires_grad_()
    guide.features(latents)[0, 7].backward()
    assert latents.grad is not None
    assert latents.grad.abs().sum() > 0


def test_wide_features_are_fitted_in_float32_to_the_same_readout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features = _rows(40, 90) * torch.linspace(0.1, 50, 90) + 3
    scores = features[:, 0] + _rows(40, 1)[:, 0]
    exact = fit(features, scores)
    monkeypatch.setattr(_readout, "WIDE", 80)
    rounded = fit(features, scores)
    assert not torch.equal(rounded.weights, exact.weights)
    torch.testing.assert_close(rounded.weights, exact.weights, rtol=1e-3, atol=1e-6)
    assert rounded.explained == pytest.approx(exact.explained, abs=1e-4)


class Plain(Liar):
    """A network whose layer has maps that it does not give."""

    def describe(self) -> OracleInfo:
        layer = LayerInfo("told", "conv", (8, 4, 4), ("unit", "height", "width"))
        return OracleInfo(self.kind, Capability.GRADIENTS, STIMULUS, (layer,))


def test_a_network_without_maps_says_what_to_set() -> None:
    with pytest.raises(Unsupported, match="set map_side to 1"):
        EncodingModel().bind(CANVAS, lambda _: Plain("slope"))
    EncodingModel(map_side=1).bind(CANVAS, lambda _: Plain("slope"))


@pytest.mark.parametrize(
    ("generator", "network", "layers", "error", "says"),
    [
        (None, tiny_network, (), Unsupported, "this study has none"),
        (DiffusersVQ(latent="codes"), tiny_network, (), Unsupported, "has no gradients"),
        (CANVAS, lambda: Simulated(STIMULUS), (), Unsupported, "needs gradients"),
        (Pixels((3, 8, 8)), tiny_network, (), ShapeMismatch, "takes"),
        (CANVAS, tiny_network, ("9",), UnknownUnit, "no layer '9'"),
        (CANVAS, lambda: no_network("n"), (), NotFound, "without a catalogue"),
    ],
)
def test_says_what_is_missing(
    generator: Any, network: Any, layers: tuple[str, ...], error: Any, says: str
) -> None:
    with pytest.raises(error, match=says):
        EncodingModel(layers=layers).bind(generator, lambda _: network())


def test_refuses_to_work_unequipped() -> None:
    with pytest.raises(Unsupported, match="needs a differentiable generator and the network 'a'"):
        EncodingModel(network="a").init(SPACE, 1, Stream(0, "init", 0))


def test_says_what_it_would_need_of_memory() -> None:
    small = EncodingModel(max_bytes=2 * 400 * 6 * 4, map_side=1).bind(
        CANVAS, lambda _: tiny_network()
    )
    small.init(SPACE, 2, Stream(0, "init", 0, (0, 1)))
    with pytest.raises(Unsupported, match="28800 bytes to keep 6 features of 400 rows for 3 targ"):
        small.init(SPACE, 3, Stream(0, "init", 0, (0, 1, 2)))


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"population": 7}, "population must be at least 8"),
        ({"archive": 19}, "archive must be at least 20"),
        ({"max_bytes": 0}, "max_bytes must be positive"),
        ({"map_side": 0}, "map_side must be at least 1"),
        ({"screening": 0}, "screening must be at least 1"),
        ({"sigma": 0.0}, "sigma must be positive"),
        ({"network": ""}, "network must be the name of an oracle"),
        ({"layers": 3}, "layers"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        plugins.optimizers.build("encoding_model", parameters)
