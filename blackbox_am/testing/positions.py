"""The part of the contract suite of optimizers about where a search stands."""

from __future__ import annotations

from typing import Any

import torch

from blackbox_am.core import state as states
from blackbox_am.core.optimizer import Optimizer
from blackbox_am.testing.searches import Search, copy_of, equal, same, searchable


class PositionContract:
    """What every optimizer promises about its centre. `OptimizerContract` includes it."""

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
