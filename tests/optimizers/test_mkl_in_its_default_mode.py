"""Searches keep their promises where MKL is not in its reproducible mode, by aligned copies.

MKL reads its mode once in a process, so these tests run in processes of their own that use MKL
before the package can set the mode.
"""

import os
import sys

import pytest
import torch

from tests import forked

PROGRAM = """
import sys, torch
torch.ones(9, 9) @ torch.ones(9, 9)
from blackbox_am import plugins
from blackbox_am.core import linear_algebra
from blackbox_am.testing.optimizers import OptimizerContract
assert not linear_algebra.reproducible(), linear_algebra.mkl_mode()
suite, optimizer = OptimizerContract(), plugins.optimizers.build(sys.argv[1], {})
suite.test_bits_do_not_depend_on_memory_addresses(optimizer, 20)
suite.test_a_target_does_not_know_the_others(optimizer)
suite.test_a_target_that_rested_goes_on_as_it_was(optimizer)
suite.test_a_snapshot_continues_to_the_last_bit(optimizer)
print("kept")
"""


@pytest.mark.parametrize(
    "name",
    [
        "cma",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("xnes", "cholesky_cma", "lowrank_cma", "restarts")
        ),
    ],
)
def test_a_search_does_not_depend_on_memory_addresses(name: str) -> None:
    if not torch.backends.mkl.is_available():
        pytest.skip("torch does not use MKL")
    environment = {k: v for k, v in os.environ.items() if k != "MKL_CBWR"}
    done = forked.run([sys.executable, "-c", PROGRAM, name], env=environment, timeout=100)
    assert done.stdout == "kept\n"
