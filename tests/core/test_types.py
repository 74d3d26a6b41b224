"""The account of an oracle's calls."""

import dataclasses

import pytest

from blackbox_am.core.types import Accounting, Purpose


def test_every_number_of_two_accounts_is_added():
    names = [field.name for field in dataclasses.fields(Accounting)]
    one = Accounting(**{name: place + 1 for place, name in enumerate(names)})
    two = Accounting(**dict.fromkeys(names, 100))
    assert dataclasses.astuple(one + two) == tuple(101 + place for place in range(len(names)))
    assert one + two + -two == one


@pytest.mark.parametrize("purpose", Purpose)
def test_rows_of_a_purpose_are_those_that_were_not_repeated(purpose):
    spent = Accounting(calls=3, rows=30, retries=1, retried_rows=10)
    marked = spent.marked(purpose)
    assert getattr(marked, purpose.value) == marked.rows_apart == 20
    assert spent.marked(None) == spent
