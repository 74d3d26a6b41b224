from __future__ import annotations

import threading

import pytest

from blackbox_am.cli.background import iterate


def test_gives_every_item_in_order():
    assert list(iterate(range(5))) == [0, 1, 2, 3, 4]
    assert list(iterate([None, None])) == [None, None]


def test_fetches_on_one_other_thread():
    threads = set(iterate(threading.get_ident() for _ in range(3)))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_raises_what_fetching_raised():
    def items():
        yield 1
        raise ZeroDivisionError

    found = iterate(items())
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_does_not_wait_for_an_item_that_nobody_wants():
    asked, release = threading.Event(), threading.Event()

    def items():
        yield 1
        asked.set()
        release.wait(10)
        yield 2

    found = iterate(items())
    assert next(found) == 1
    found.close()
    assert not asked.is_set()
    release.set()
