"""Parameters of a torch module, labels, and the models that ship with the package."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am import plugins
from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.oracles.torch.torch_module import TorchModule
from tests.oracles.torch.nets import Net, layer, of, units


@pytest.fixture
def net() -> Net:
    return Net()


def test_batch_size(net: Net) -> None:
    assert of(net).describe().batch_size == 64
    assert of(net, batch_size=8).describe().batch_size == 8


def test_labels_go_to_the_last_linear_layer_and_the_output() -> None:
    model = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 2), nn.Softmax(dim=1))
    oracle = TorchModule(model, (4,), device="cpu", labels=("cat", "dog"))
    labelled = [found.name for found in oracle.describe().layers if found.labels]
    assert labelled == ["2", "output"]
    assert layer(oracle, "output").labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model": "resnet"}, "zoo:NAME"),
        ({"model": 3}, "got int"),
        ({"model": "zoo:cifar_vae"}, "expected a classifier"),
        ({"model": nn.Linear(3, 1)}, "stimulus_shape"),
        ({"model": nn.Linear(3, 1), "stimulus_shape": (3,), "mean": (0.1, 0.2)}, "mean"),
        ({"model": nn.Linear(3, 1), "stimulus_shape": (3,), "std": (0.0,)}, "positive"),
        ({"model": nn.Linear(3, 1), "stimulus_shape": (3,), "dtype": "int8"}, "dtype"),
        ({"model": nn.Linear(3, 1), "stimulus_shape": (3,), "batch_size": 0}, "batch_size"),
    ],
)
def test_bad_parameters(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.oracles.build("torch_module", parameters)


def test_unknown_zoo_models_name_near_ones() -> None:
    with pytest.raises(NotFound, match="cifar_cnn"):
        TorchModule("zoo:cifar_cn")


@pytest.mark.parametrize("name", ["cifar_cnn", "cifar_vit"])
def test_zoo_classifiers(name: str) -> None:
    oracle = TorchModule(f"zoo:{name}", device="cpu")
    assert oracle.stimulus_shape == (3, 32, 32)
    try:
        info = oracle.describe()
    except NotFound as error:
        pytest.skip(f"the zoo's weights are not here: {error}")
    head = next(found for found in info.layers if found.name == "head")
    assert head.labels[3] == "cat"
    images = np.load(Path(plugins.__file__).parent / "zoo" / "weights" / "probe_images.npz")
    x = torch.from_numpy(images["x"][::4]).permute(0, 3, 1, 2).float() / 255
    scores = oracle.observe(x, units(*(f"head:{i}" for i in range(10))))
    right = (scores.argmax(1).numpy() == images["y"][::4]).mean()
    assert right > 0.5, "stimuli in [0, 1] are not normalised as the net was trained"


def test_resnet20_of_the_assets(
    resnet20: nn.Module, cifar_test: tuple[torch.Tensor, np.ndarray]
) -> None:
    oracle = TorchModule(
        resnet20, (3, 32, 32), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), device="cpu"
    )
    x, classes = (values[::10] for values in cifar_test)
    with torch.no_grad():
        scores = oracle.observe(x, units(*(f"head:{i}" for i in range(10))))
        maps = oracle.observe(x, units("layer3.2.conv2:5@center", "layer3.2.conv2:5"))
    assert (scores.argmax(1).numpy() == classes).mean() > 0.85
    assert maps.min() < 0, "read before the ReLU"
