"""A slow reader loses the messages of a source together, and is told which source."""

import asyncio

from blackbox_am.gateway.feeds.mailbox import MOST_BYTES, MOST_MESSAGES, Mailbox, Message
from blackbox_am.gateway.upstream import pause


def taken(mailbox):
    found = []
    while (message := mailbox.take()) is not None:
        found.append((message.source, message.sequence))
    return found


def test_messages_come_in_order():
    mailbox = Mailbox()
    for number in range(MOST_MESSAGES):
        mailbox.put(Message("generation", b"", "a", number))
        mailbox.put(Message("generation", b"", "b", number))
    both = [(source, number) for number in range(MOST_MESSAGES) for source in "ab"]
    assert taken(mailbox) == both
    assert mailbox.behind() == set()


def test_too_many_messages_of_one_source():
    mailbox = Mailbox()
    mailbox.put(Message("generation", b"", "b", 7))
    for number in range(MOST_MESSAGES + 3):
        mailbox.put(Message("generation", b"", "a", number))
    assert taken(mailbox) == [("b", 7)]  # none of `a`, so that none is told out of order
    mailbox.put(Message("generation", b"", "a", 600))
    assert taken(mailbox) == []  # not before its reader knows that it is behind
    assert mailbox.behind() == {"a"}
    mailbox.put(Message("generation", b"", "a", 601))
    assert taken(mailbox) == [("a", 601)]
    assert mailbox.behind() == set()


def test_the_source_with_most_bytes_is_lost():
    mailbox = Mailbox()
    mailbox.put(Message("study", bytes(MOST_BYTES // 4), "b", 1))
    mailbox.put(Message("study", bytes(MOST_BYTES // 2), "a", 1))
    mailbox.put(Message("study", bytes(MOST_BYTES // 2), "c", 1))
    assert taken(mailbox) == [("b", 1), ("c", 1)]
    assert mailbox.behind() == {"a"}


def test_one_large_message_is_told():
    mailbox = Mailbox()
    mailbox.put(Message("study", bytes(2 * MOST_BYTES), "a", 1))
    assert taken(mailbox) == [("a", 1)]
    mailbox.put(Message("study", b"1", "a", 2))
    assert taken(mailbox) == [("a", 2)]


def test_messages_of_a_source_are_held():
    mailbox = Mailbox()
    for number in range(2):
        mailbox.put(Message("note", b"", "a", number))
        mailbox.put(Message("note", b"", "b", number))
    assert mailbox.take({"a"}).source == "b"
    assert mailbox.take({"a", "b"}) is None
    assert taken(mailbox) == [("a", 0), ("a", 1), ("b", 1)]


def test_news():
    async def run():
        mailbox = Mailbox()
        assert mailbox.take() is None
        assert not await pause(mailbox.news, 0.01)
        asyncio.get_running_loop().call_later(0.01, mailbox.put, Message("note", b"", "a", 1))
        assert await pause(mailbox.news, 10)
        assert taken(mailbox) == [("a", 1)]
        assert not await pause(mailbox.news, 0.01)
        mailbox.close()
        assert await pause(mailbox.news, 10)
        assert mailbox.closed

    asyncio.run(run())
