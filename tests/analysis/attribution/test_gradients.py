"""Maps by gradients: equal to what is computed by hand, refused where they would be wrong."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from blackbox_am.analysis.attribution import (
    deconvnet,
    grad_cam,
    guided_backprop,
    integrated_gradients,
    lrp,
    saliency,
    smoothgrad,
)
from blackbox_am.catalogue import Catalogue
from blackbox_am.errors import (
    CapabilityMissing,
    GradientUnavailable,
    InvalidSpec,
    OracleFailed,
    Unsupported,
)
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.torch.torch_module import TorchModule
from tests.analysis.models import Counted, gabor, linear

ALL = [saliency, smoothgrad, integrated_gradients, guided_backprop, deconvnet, grad_cam, lrp]


class Net(nn.Module):
    """Two convolutions with ReLUs and a linear layer, without biases."""

    def __init__(self, activation=nn.ReLU):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.conv1 = nn.Conv2d(1, 3, 3, padding=1, bias=False)
            self.conv2 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
            self.head = nn.Linear(4 * 36, 2, bias=False)
        self.act1, self.act2, self.flat = activation(), activation(), nn.Flatten()

    def forward(self, x):
        return self.head(self.flat(self.act2(self.conv2(self.act1(self.conv1(x))))))


class Reused(Net):
    def forward(self, x):
        return self.head(self.flat(self.act1(self.conv2(self.act1(self.conv1(x))))))


class Functional(Net):
    def forward(self, x):
        return self.head(self.flat(functional.relu(self.conv2(self.act1(self.conv1(x))))))


def oracle_of(net):
    return TorchModule(net.eval(), (1, 6, 6), device="cpu")


def shown():
    return torch.rand(1, 6, 6, generator=torch.Generator().manual_seed(1))


def by_hand(net, x, rule):
    """The backward pass with `rule(gradient behind the ReLU, its input)` in place of the ReLU's."""
    x = x[None].requires_grad_()
    one = net.conv1(x)
    leaf1 = functional.relu(one).detach().requires_grad_()
    two = net.conv2(leaf1)
    leaf2 = functional.relu(two).detach().requires_grad_()
    (last,) = torch.autograd.grad(net.head(leaf2.flatten(1))[0, 0], leaf2)
    (middle,) = torch.autograd.grad(two, leaf1, rule(last, two.detach()))
    (first,) = torch.autograd.grad(one, x, rule(middle, one.detach()))
    return first[0].detach().numpy()


def test_saliency_of_a_linear_unit_is_its_weights():
    weights = gabor(3)
    model = linear(weights)
    found = saliency(model.oracle(3, 16, 16), "scores:0", np.full((3, 16, 16), 0.4))
    assert np.array_equal(found.full, weights.double().numpy())
    assert np.array_equal(found.values, np.abs(found.full).max(0))
    assert (found.spent.rows, found.spent.backward_rows) == (model.rows, 1)


def test_smoothgrad_of_a_linear_unit_is_its_weights():
    weights = gabor()
    model = linear(weights)
    found = smoothgrad(model.oracle(1, 16, 16), "scores:0", shown().repeat(1, 3, 3)[:, :16, :16])
    assert found.full == pytest.approx(weights.numpy(), abs=1e-6)
    assert (found.spent.rows, found.spent.backward_rows) == (model.rows, 50)


def test_integrated_gradients_add_up_to_the_difference():
    oracle = oracle_of(Net())
    found = integrated_gradients(oracle, "head:0", shown(), steps=100)
    assert found.full.sum() == pytest.approx(found.score, rel=0.01)  # at 0 the net answers 0
    assert found.notes == ()


@pytest.mark.parametrize(
    ("method", "rule"),
    [
        (guided_backprop, lambda g, x: functional.relu(g) * (x > 0)),
        (deconvnet, lambda g, x: functional.relu(g)),
    ],
)
def test_the_backward_pass_equals_one_by_hand(method, rule):
    net = Net()
    found = method(oracle_of(net), "head:0", shown())
    assert found.full == pytest.approx(by_hand(net, shown(), rule), abs=1e-6)


def test_the_module_carries_nothing_afterwards():
    net = Net().eval()
    oracle = TorchModule(net, (1, 6, 6), device="cpu")
    before = net(shown()[None])
    for method in (guided_backprop, deconvnet, grad_cam, lrp):
        method(oracle, "head:0", shown())
    for module in net.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
        assert not hasattr(module, "rule")
    assert torch.equal(net(shown()[None]), before)


def test_rules_of_the_user_stay_on_the_module():
    net = Net().eval()
    net.conv1.rule = net.act1.rule = "the user's"
    lrp(TorchModule(net, (1, 6, 6), device="cpu"), "head:0", shown())
    assert net.conv1.rule == net.act1.rule == "the user's"
    assert not hasattr(net.conv2, "rule")


@pytest.mark.parametrize("method", [saliency, smoothgrad, integrated_gradients])
def test_answers_without_a_graph_are_refused(method):
    cut = Counted(lambda x: x.detach().flatten(1).sum(1, keepdim=True))
    with pytest.raises(GradientUnavailable, match="operations that PyTorch differentiates"):
        method(cut.oracle(1, 4, 4), "scores:0", np.full((1, 4, 4), 0.5))


def test_a_gradient_that_is_not_a_number_is_refused():
    steep = Counted(lambda x: (x - 0.5).abs().sqrt().flatten(1).sum(1, keepdim=True))
    oracle = steep.oracle(1, 4, 4)
    for method in (saliency, smoothgrad):
        with pytest.raises(OracleFailed, match=r"16 of 16 places .* nan or infinite"):
            method(oracle, "scores:0", np.full((1, 4, 4), 0.5))


def test_grad_cam_is_the_weighted_sum_of_channels():
    net = Net()
    found = grad_cam(oracle_of(net), "head:1", shown(), layer="act2")
    with torch.no_grad():
        maps = functional.relu(net.conv2(functional.relu(net.conv1(shown()[None]))))[0]
    weights = net.head.weight[1].reshape(4, 6, 6).mean((1, 2), keepdim=True)
    expected = functional.relu((weights * maps).sum(0)).detach().numpy()
    assert found.values == pytest.approx(expected, abs=1e-6)
    assert grad_cam(oracle_of(net), "head:1", shown()).parameters["layer"] == "act2"


def test_relevance_is_conserved_without_biases():
    found = lrp(oracle_of(Net()), "head:0", shown())
    assert float(found.more["conserved"]) == pytest.approx(found.score, rel=0.01)
    assert found.notes == ()


def test_relevance_that_is_not_conserved_is_said():
    net = Net()
    net.head.bias = nn.Parameter(torch.tensor([5.0, 5.0]))
    assert "adds up to" in lrp(oracle_of(net), "head:0", shown()).notes[0]


@pytest.mark.parametrize("method", ALL)
def test_an_oracle_without_gradients_is_refused_with_the_alternative(method):
    with pytest.raises(GradientUnavailable, match=r"needs the capability GRADIENTS.*occlusion"):
        method(Simulated(), "units:0", np.full((3, 8, 8), 0.5))


@pytest.mark.parametrize("method", [guided_backprop, deconvnet, grad_cam, lrp])
def test_an_oracle_without_a_module_is_refused(method):
    with pytest.raises(CapabilityMissing, match=r"needs the PyTorch module itself.*rise"):
        method(Simulated(gradients=True), "units:0", np.full((3, 8, 8), 0.5))


@pytest.mark.parametrize("method", [guided_backprop, deconvnet, lrp])
def test_relus_that_hooks_cannot_tell_apart_are_found(method):
    with pytest.raises(Unsupported, match="'act1' runs 2 times in a forward pass"):
        method(oracle_of(Reused()), "head:0", shown())
    with pytest.raises(Unsupported, match="1 ReLUs before the unit are function calls"):
        method(oracle_of(Functional()), "head:0", shown())


class Pooled(nn.Module):
    """A mean over positions by a layer, or by a function."""

    def __init__(self, pool):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv = nn.Conv2d(1, 4, 3, padding=1, bias=False)
            self.head = nn.Linear(4, 2, bias=False)
        self.act = nn.ReLU()
        self.pool = pool

    def forward(self, x):
        return self.head(self.pool(self.act(self.conv(x))).flatten(1))


def test_relevance_through_a_mean_goes_to_what_made_it():
    net = Pooled(nn.AdaptiveAvgPool2d(1))
    found = lrp(oracle_of(net), "head:0", shown())
    x = shown()[None].requires_grad_()
    maps = net.conv(x)
    values = functional.relu(maps).detach()
    shares = values / values.sum((2, 3), keepdim=True).clamp_min(1e-12)
    relevance = shares * (values.mean((2, 3)) * net.head.weight[0])[:, :, None, None]
    factor = torch.where(maps == 0, 0, relevance / maps).detach()
    (slope,) = torch.autograd.grad((maps * factor).sum(), x)
    assert found.full == pytest.approx((x * slope)[0].detach().numpy(), abs=1e-6)


def test_a_mean_by_a_function_is_refused_by_lrp():
    class Mean(Pooled):
        def forward(self, x):
            return self.head(self.act(self.conv(x)).mean((2, 3)))

    oracle = oracle_of(Mean(None))
    with pytest.raises(Unsupported, match="operation 'mean' before head:0 is a function call"):
        lrp(oracle, "head:0", shown())
    assert lrp(oracle, "act:0", shown()).notes == ()
    assert guided_backprop(oracle, "head:0", shown()).values.any()


def test_a_layer_that_runs_twice_is_refused_by_lrp():
    pool = nn.MaxPool2d(2)
    first, second = nn.Conv2d(1, 3, 1), nn.Conv2d(3, 2, 1)
    net = nn.Sequential(first, nn.ReLU(), pool, second, nn.ReLU(), pool, nn.Flatten())
    oracle = TorchModule(net.eval(), (1, 4, 4), device="cpu")
    with pytest.raises(Unsupported, match="layer '2' runs 2 times"):
        lrp(oracle, "6:0", torch.rand(1, 4, 4))


def test_a_net_without_relus_is_refused():
    with pytest.raises(Unsupported, match="there is none before"):
        guided_backprop(oracle_of(Net(nn.Tanh)), "head:0", shown())


def test_a_vision_transformer_is_refused_by_lrp():
    vit = Catalogue.default().oracle("cifar_vit")
    with pytest.raises(Unsupported, match=r"LayerNorm.*transformers.*not supported"):
        lrp(vit, "head:0", np.full((3, 32, 32), 0.5))


def test_grad_cam_needs_a_layer_with_maps():
    with pytest.raises(InvalidSpec, match="has no height and width"):
        grad_cam(oracle_of(Net()), "head:0", shown(), layer="flat")
    with pytest.raises(InvalidSpec, match="no layer with height and width runs before"):
        grad_cam(oracle_of(Net()), "conv1:0", shown())
    with pytest.raises(InvalidSpec, match="layer 'conv2' runs after conv1:0"):
        grad_cam(oracle_of(Net()), "conv1:0", shown(), layer="conv2")


def test_the_shipped_net_answers():
    cnn = Catalogue.default().oracle("cifar_cnn")
    found = guided_backprop(cnn, "head:3", np.full((3, 32, 32), 0.5, np.float32))
    assert found.values.shape == (32, 32)
    assert found.values.max() > 0
