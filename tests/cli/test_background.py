from __future__ import annotations

import threading

import pytest

from blackbox_am.cli.background import iterate


def test_items_are_returned_in_order():
    assert list(iterate(range(5))) == [0, 1, 2, 3, 4]
    assert list(iterate([None, None])) == [None, None]


def test_items_are_fetched_on_one_other_thread():
    threads = set(iterate(threading.get_ident() for _ in range(3)))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_an_error_of_the_iterator_is_raised():
    def items():
        yield 1
        raise ZeroDivisionError

    found = iterate(items())
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_an_abandoned_iteration_does_not_wait_for_the_next_item():
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
