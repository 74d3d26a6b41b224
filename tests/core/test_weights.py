from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_model
from torch import nn

from blackbox_am.core.weights import fill, load, misfit, read_checkpoint
from blackbox_am.errors import InvalidSpec


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def test_a_state_that_fits() -> None:
    state = net().state_dict()
    assert misfit(net(), state) == ""
    del state["1.num_batches_tracked"]  # plays no part in evaluation
    assert misfit(net(), state) == ""
    found = net()
    fill(found, state, Path("net.pt"))
    assert torch.equal(found[0].weight, state["0.weight"])


def test_all_that_does_not_fit_is_said() -> None:
    state = net().state_dict()
    state["0.weight"] = torch.zeros(4, 5)
    state["0.scale"] = state.pop("0.bias")
    assert misfit(net(), state) == (
        "the file lacks 0.bias; the module has no 0.scale; "
        "0.weight is (4, 5) in the file and (4, 3) in the module"
    )
    with pytest.raises(
        InvalidSpec, match=r"weights: net\.pt .* Sequential: the file lacks 0\.bias"
    ):
        fill(net(), state, Path("net.pt"))


def test_long_lists_are_cut() -> None:
    said = misfit(nn.Sequential(*(nn.Linear(1, 1) for _ in range(4))), {})
    assert said == "the file lacks 0.weight, 0.bias, 1.weight, 1.bias and 4 more"


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight


def under(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}{key}": value for key, value in state.items()}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (lambda state: state, ()),
        (lambda state: {"epoch": 3, "model_state_dict": state}, ("'model_state_dict'",)),
        (lambda state: {"state_dict": under("model.", state)}, ("'state_dict'", "'model.'")),
        (lambda state: under("module.", state), ("'module.'",)),
        (lambda state: under("module._orig_mod.", state), ("'module._orig_mod.'",)),
        (lambda state: {"model": {"ema": state, "step": 1}}, ("'model'", "'ema'")),
        (lambda state: {"student": state, "epoch": 3}, ("'student'",)),
        (
            lambda state: {"net": state, "ema": under("x", state)},
            ("'net' of net.pt (beside it: ema)",),
        ),
    ],
)
def test_states_as_people_save_them(
    entries: Callable[[dict[str, torch.Tensor]], object], said: tuple[str, ...], tmp_path: Path
) -> None:
    wanted = net()
    torch.save(entries(wanted.state_dict()), tmp_path / "net.pt")
    found = net()
    notes = load(found, tmp_path / "net.pt")
    assert len(notes) == len(said)
    assert all(word in note for word, note in zip(said, notes, strict=True))
    assert torch.equal(found[0].weight, wanted[0].weight)


def test_tied_weights_lack_all_names_but_one(tmp_path: Path) -> None:
    wanted, found = Tied(), Tied()
    save_model(wanted, str(tmp_path / "tied.safetensors"))
    assert load(found, tmp_path / "tied.safetensors") == ()
    assert torch.equal(found.b.weight, wanted.a.weight)


def test_a_checkpoint_without_a_state_says_what_it_holds(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "net.pt")
    with pytest.raises(InvalidSpec, match=r"a dict of epoch, optimizer; save model\.state_dict"):
        read_checkpoint(tmp_path / "net.pt")


def test_names_of_another_model_are_listed_with_the_cure(tmp_path: Path) -> None:
    torch.save({"criterion.weight": torch.ones(2), "0.weight": torch.ones(4, 3)}, tmp_path / "a.pt")
    with pytest.raises(InvalidSpec, match=r"criterion\.weight.*in the module: 0\.weight.*save the"):
        load(net(), tmp_path / "a.pt")


def test_a_lazy_module_takes_its_shapes_from_the_file(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2, 5), "bias": torch.zeros(2)}, tmp_path / "lazy.pt")
    module = nn.LazyLinear(2)
    load(module, tmp_path / "lazy.pt")
    assert torch.equal(module.weight, torch.ones(2, 5))


def test_tensors_under_numbers_are_no_state_dict(tmp_path: Path) -> None:
    torch.save({0: torch.ones(2)}, tmp_path / "numbers.pt")
    with pytest.raises(InvalidSpec, match="no state dict"):
        read_checkpoint(tmp_path / "numbers.pt")
