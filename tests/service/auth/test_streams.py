"""The check of running streams: what ends them, and what does not."""

import asyncio
import logging

import pytest

from blackbox_am.errors import StoreError, Unauthenticated
from blackbox_am.service.auth import streams
from blackbox_am.service.auth.streams import Watchdog


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.01)


def watched(check, work):
    """The result of `work` as a stream with this check."""

    async def main():
        watchdog = Watchdog(lambda function: asyncio.to_thread(function))
        try:
            async with watchdog.watching(check):
                return await work()
        finally:
            await watchdog.close()

    return asyncio.run(main())


def test_a_check_that_fails_ends_the_stream():
    def check():
        raise Unauthenticated("gone")

    async def forever():
        await asyncio.Event().wait()

    with pytest.raises(Unauthenticated, match="gone"):
        watched(check, forever)


def test_a_bug_in_a_check_ends_the_stream_and_is_logged(caplog):
    async def forever():
        await asyncio.Event().wait()

    with pytest.raises(Unauthenticated, match="could not be checked"):
        watched(lambda: 1 / 0, forever)
    assert "ZeroDivisionError" in caplog.text


def test_a_store_that_fails_for_a_moment_ends_nothing(caplog):
    caplog.set_level(logging.WARNING)
    looks = []

    def check():
        looks.append(1)
        raise StoreError("busy")

    async def work():
        while len(looks) < 3:
            await asyncio.sleep(0.01)
        return "done"

    assert watched(check, work) == "done"
    assert "busy" in caplog.text


def test_a_cancelled_stream_stays_cancelled():
    async def cancelled():
        asyncio.current_task().cancel()
        await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        watched(lambda: None, cancelled)
