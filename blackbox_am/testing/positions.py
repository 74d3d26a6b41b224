"""The part of the contract suite of optimizers about where a search begins and stands."""

from __future__ import annotations

from typing import Any

import torch

from blackbox_am.core import state as states
from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.testing import searches
from blackbox_am.testing.searches import Search, copy_of, equal, finite, same, searchable


class PositionContract:
    """What every optimizer promises about its start and its centre; a part of the suite."""

    def test_measures_its_start_first(self, optimizer: Optimizer[Any]) -> None:
        """And goes on from there: the search is never below its start."""
        for space in searchable(optimizer):
            start = _start(space)
            search = Search(optimizer, space, start=start)
            told = search.run(3)
            # A sphere projects its own points once more, which moves their last bits.
            torch.testing.assert_close(told[0][:, 0], space.project(start), msg=space.kind)
            first = search.scores(told[0][:, :1])[:, 0]
            best = torch.stack([search.scores(rows).amax(-1) for rows in told]).amax(0)
            assert (best >= first).all(), space.kind
            assert search.optimizer.replay_only or finite(search.state), space.kind
            again = Search(optimizer, space, start=start).run(3)
            assert torch.equal(again[-1], told[-1]), space.kind
            for k in range(3):
                alone = Search(optimizer, space, targets=(k,), start=start[[k]]).run(3)
                assert torch.equal(alone[-1][0], told[-1][k]), f"{space.kind}, target {k}"

    def test_begins_around_its_start(self, optimizer: Optimizer[Any]) -> None:
        """Unless it learns nothing: then a start leaves its state as it was. What the optimizers of
        a library propose first, the library decides, and a generation of one row is the start.
        """
        if optimizer.family:
            return
        for space in searchable(optimizer):
            if optimizer.population_size(space) == 1:
                continue
            start = _start(space)
            search, usual = Search(optimizer, space, start=start), Search(optimizer, space)
            if not optimizer.replay_only and same(search.state, usual.state):
                continue
            near, far = (_distances(space, s.ask()[:, 1:], start) for s in (search, usual))
            assert near < far, space.kind

    def test_names_its_centre(self, optimizer: Optimizer[Any]) -> None:
        """Inside the space, the same when asked again, alone and after a snapshot; or never."""
        for space in searchable(optimizer):
            search = Search(optimizer, space)
            search.run(2)
            before = copy_of(search.state)
            center = search.center()
            assert same(search.state, before), f"{space.kind}: naming the centre changed the state"
            if center is None:
                continue
            assert center.shape == (3, space.dim), space.kind
            assert center.dtype == (space.dtype or search.dtype), space.kind
            assert center.isfinite().all(), space.kind
            torch.testing.assert_close(space.project(center), center, msg=f"{space.kind}: outside")
            assert equal(center, search.center()), space.kind
            for k in range(3):
                alone = Search(optimizer, space, targets=(k,))
                alone.run(2)
                assert equal(alone.center(), center[[k]]), f"{space.kind}, target {k}"
            if not optimizer.replay_only:
                data, device = states.to_bytes(search.state), torch.device(search.device)
                search.state = states.from_bytes(search.optimizer.state_type, data, device)
                assert equal(search.center(), center), f"{space.kind}: after a snapshot"
            once = Search(optimizer, space)
            once.run(2)
            assert torch.equal(search.ask(), once.ask()), f"{space.kind}: the name left a trace"

    def test_the_centre_follows_the_search(self, optimizer: Optimizer[Any]) -> None:
        """On a hill, what an optimizer calls its centre is better than the prior's samples."""
        spaces = searchable(optimizer)
        for space in {spaces[0].spec: spaces[0], spaces[-1].spec: spaces[-1]}.values():
            search = Search(optimizer, space)
            search.run(20)
            center = search.center()
            if center is None:
                continue
            prior = space.project(space.sample(search.stream("prior"), 64)).to(center.dtype)
            usual = search.scores(prior).median(-1).values
            assert (search.scores(center.unsqueeze(1))[:, 0] > usual).all(), space.kind


def _start(space: Space) -> torch.Tensor:
    """(3, D) latents, other ones for each target."""
    return space.sample(Stream(5, "start", 0, (0, 1, 2), device=searches.DEVICE), 1)[:, 0]


def _distances(space: Space, rows: torch.Tensor, start: torch.Tensor) -> float:
    """The median distance of rows (K, P, D) from `start` (K, D): the number of other codes, or
    the length in numbers.
    """
    away = space.project(rows).to(start.dtype) - start.unsqueeze(1)
    if space.dtype is not None:
        return float((away != 0).double().sum(-1).median())
    return float(away.double().norm(dim=-1).median())
