"""Shapes and names of the two architectures."""

import pytest
import torch

from blackbox_am.zoo.nets import BasicBlock, CifarResNet, CifarViT


@torch.no_grad()
@pytest.mark.parametrize("shortcut", ["conv", "pad"])
def test_residual_net_shapes(shortcut):
    net = CifarResNet((8, 16, 32), (1, 2, 1), classes=7, shortcut=shortcut).eval()
    x = torch.randn(2, 3, 32, 32)
    maps = net.features(x)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (8, 32, 32),
        (8, 32, 32),
        (16, 16, 16),
        (32, 8, 8),
    ]
    assert all(float(m.min()) >= 0 for m in maps)
    torch.testing.assert_close(net(x), net.classify(maps[-1]))
    assert net(x).shape == (2, 7)


@torch.no_grad()
def test_padding_shortcut_has_no_parameters_and_centres_the_channels():
    block = BasicBlock(4, 8, 2, "pad").eval()
    assert block.shortcut is None
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 4, 6, 6)
    out = block(x)
    torch.testing.assert_close(out[:, 2:6], x[:, :, ::2, ::2])
    assert float(out[:, :2].abs().max()) == float(out[:, 6:].abs().max()) == 0.0


def test_transformer_shapes():
    net = CifarViT(dim=16, depth=2, heads=4, hidden=24, classes=5).eval()
    x = torch.randn(3, 3, 32, 32)
    assert net.patch_embed(x).shape == (3, 64, 16)
    tokens = net.features(x)
    assert tokens.shape == (3, 65, 16)
    torch.testing.assert_close(net(x), net.classify(tokens))
    assert net(x).shape == (3, 5)


@torch.no_grad()
def test_patches_are_read_row_by_row():
    net = CifarViT(dim=8, depth=1, heads=2, hidden=8)
    x = torch.zeros(1, 3, 32, 32)
    x[:, :, 0:4, 8:12] = 1.0
    tokens = net.patch_embed(x) - net.patch_embed(torch.zeros_like(x))
    assert tokens.abs().sum(2).nonzero()[:, 1].tolist() == [2]
