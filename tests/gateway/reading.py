"""A reader of server-sent events, for tests."""

import json
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

import httpx


def until(done, seconds=60.0):
    """Waits until `done()` is true."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@dataclass
class Event:
    kind: str
    data: dict
    id: str


@dataclass
class Reader:
    """Reads a stream in a thread, so that a test can look at what has come.

    `known` is sent as Last-Event-ID, as a browser does after a lost connection.
    """

    url: str
    studies: str
    known: str = ""
    events: list[Event] = field(default_factory=list)
    error: str = ""

    def __enter__(self):
        self._client = httpx.Client(timeout=httpx.Timeout(10, read=60))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # ends a read that waits
        self._thread.join(20)
        self._client.close()

    _socket = None

    @property
    def last_id(self):
        return next((event.id for event in reversed(self.events) if event.id), self.known)

    def of(self, kind):
        return [event.data for event in list(self.events) if event.kind == kind]

    def until(self, done, seconds=60.0):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if done(self):
                return
            time.sleep(0.01)
        raise AssertionError(f"{self.error}: only {[(e.kind, e.id) for e in self.events][-20:]}")

    def _read(self):
        headers = {"last-event-id": self.known} if self.known else {}
        try:
            with self._client.stream(
                "GET", f"{self.url}/api/events", params={"studies": self.studies}, headers=headers
            ) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                stream = answer.extensions["network_stream"]
                self._socket = stream.get_extra_info("socket")
                self._parse(answer.iter_lines())
        except (httpx.HTTPError, OSError, RuntimeError) as error:
            self.error = repr(error)

    def _parse(self, lines):
        fields = {}
        for line in lines:
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "event" in fields:
                data = json.loads(fields["data"])
                self.events.append(Event(fields["event"], data, fields.get("id", "")))
                fields = {}
            else:
                fields = {}
