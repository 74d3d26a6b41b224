"""A slow reader loses the messages of a source together, and is told which source."""

import asyncio

from blackbox_am.gateway.feeds.mailbox import MOST_MESSAGES, Mailbox, Message


def taken(mailbox):
    found = []
    while (message := mailbox.take()) is not None:
        found.append((message.source, message.sequence))
    return found


def test_messages_come_in_order():
    mailbox = Mailbox()
    for number in range(MOST_MESSAGES):
        mailbox.put(Message("generation", {}, "a", number))
        mailbox.put(Message("generation", {}, "b", number))
    both = [(source, number) for number in range(MOST_MESSAGES) for source in "ab"]
    assert taken(mailbox) == both
    assert mailbox.behind() == set()


def test_too_many_messages_of_one_source():
    mailbox = Mailbox()
    mailbox.put(Message("generation", {}, "b", 7))
    for number in range(MOST_MESSAGES + 3):
        mailbox.put(Message("generation", {}, "a", number))
    assert taken(mailbox) == [("b", 7)]  # none of `a`, so that none is told out of order
    mailbox.put(Message("generation", {}, "a", 600))
    assert taken(mailbox) == []  # not before its reader knows that it is behind
    assert mailbox.behind() == {"a"}
    mailbox.put(Message("generation", {}, "a", 601))
    assert taken(mailbox) == [("a", 601)]
    assert mailbox.behind() == set()


def test_waiting():
    async def run():
        mailbox = Mailbox()
        assert not await mailbox.wait(0.01)
        asyncio.get_running_loop().call_later(0.01, mailbox.put, Message("note", {}, "a", 1))
        assert await mailbox.wait(10)
        assert taken(mailbox) == [("a", 1)]
        assert not await mailbox.wait(0.01)

    asyncio.run(run())
