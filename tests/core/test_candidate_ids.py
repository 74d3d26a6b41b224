"""Ids of candidates hold their place, for any number that a study can have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.core.candidate_ids import MAX_POPULATION, check, pack, unpack
from blackbox_am.core.spec import MAX_QUERIES, MAX_TARGETS
from blackbox_am.errors import InvalidInput

places = st.tuples(st.integers(0, MAX_TARGETS - 1), st.integers(0, MAX_POPULATION - 1))


@given(st.integers(0, MAX_QUERIES), st.lists(places, max_size=5))
def test_what_is_packed_is_unpacked(generation, candidates):
    targets, rows = [target for target, _ in candidates], [row for _, row in candidates]
    ids = pack(generation, targets, rows)
    assert ids.dtype == np.uint64
    for same in (ids, ids.tolist(), tuple(ids)):
        generations, found, found_rows = unpack(same)
        assert generations.tolist() == [generation] * len(candidates)
        assert (found.tolist(), found_rows.tolist()) == (targets, rows)


def test_ids_are_different_and_in_order():
    ids = [*pack(0, [0, 0, 1, 99_999], [0, 1, 0, 131_071]), *pack(1, [0], [0])]
    assert ids == sorted(set(ids))
    assert ids[:3] == [0, 1, 2**17]
    assert ids[-1] == 2**34


@pytest.mark.parametrize("ids", ["nonsense", [-1], [2**64], [0.5], ["1"], [None], 7, [[1]]])
def test_what_is_no_id_is_refused(ids):
    with pytest.raises(InvalidInput, match="expected ids of candidates") as found:
        check(ids)
    assert found.value.field == "candidate_ids"
