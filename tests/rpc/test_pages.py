"""Listings in pages: complete, in order, within a message, tokens not interchangeable."""

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import names, pages


def entries(after=-1, count=10, length=1):
    return ((i, StringValue(value=str(i) * length)) for i in range(after + 1, count))


@pytest.mark.parametrize("size", [1, 3, 9, 10, 11])
def test_pages_hold_everything_once(size):
    def fetch(token):
        return pages.fill(entries(int(pages.decode(token, "here", -1))), size, "here")

    assert [m.value for m in pages.walk(fetch)] == [str(i) for i in range(10)]


def test_a_page_ends_before_it_grows_too_large():
    page, token = pages.fill(entries(length=100), 1000, "x", limit=350)
    assert len(page) == 3
    assert pages.decode(token, "x", -1) == 2


def test_an_entry_larger_than_a_page_comes_alone():
    page, token = pages.fill(entries(length=100), 1000, "x", limit=10)
    assert len(page) == 1
    assert token


def test_no_entries_make_an_empty_page():
    assert pages.fill(iter(()), 5, "x") == ([], "")


@pytest.mark.parametrize("token", ["nonsense", "ü", "AAAA", pages.encode(3, "other"), "%%%"])
def test_strange_tokens_are_refused(token):
    with pytest.raises(InvalidInput, match="page_token") as caught:
        pages.decode(token, "mine", 0)
    assert caught.value.field == "page_token"


def test_a_token_of_another_kind_is_refused():
    with pytest.raises(InvalidInput):
        pages.decode(pages.encode("text", "mine"), "mine", 0)


def test_page_sizes():
    assert pages.page_size(0, 50) == 50
    assert pages.page_size(7, 50) == 7
    assert pages.page_size(10**6, 50) == 1000
    with pytest.raises(InvalidInput, match="-1"):
        pages.page_size(-1, 50)


@pytest.mark.parametrize("study_id", ["a", "my-study-1", "a" * 63])
def test_names_hold_ids(study_id):
    assert names.study_id(names.study_name(study_id)) == study_id


@pytest.mark.parametrize("study_id", ["", "1a", "A", "a" * 64, "a/b", "a b", "ä", "-a", "a\n"])
def test_other_ids_are_refused(study_id):
    with pytest.raises(InvalidInput, match="not a study id"):
        names.study_id(f"studies/{study_id}")


def test_a_name_without_its_prefix_is_refused():
    with pytest.raises(InvalidInput, match="expected studies/STUDY_ID"):
        names.study_id("mine")
