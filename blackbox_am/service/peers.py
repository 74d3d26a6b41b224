"""Calls about a study that another server owns: the store transports them to the owner.

Servers on one store do not have to reach each other over the network. A server that receives a
request for a study of another server writes the request to the store, and the owner answers it
there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor

from google.rpc.status_pb2 import Status

from blackbox_am.core.leases import Answer, Call
from blackbox_am.core.store import Store
from blackbox_am.errors import BlackboxError, NotOwner, StoreError
from blackbox_am.rpc import status

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
"""Seconds between two looks of an owner for calls, and of a caller for its answer."""
ANSWER_SECONDS = 20.0
"""Seconds within which a running owner must answer."""

Handler = Callable[[str, bytes], bytes]
"""(method, request) -> response, both encoded; raises the errors of the method."""


class Peers:
    """The other servers on the store.

    Args:
        store: the shared store.
        owner_id: id of this server.
        handler: answers calls for studies of this server.
        pool: threads of the handler.
    """

    def __init__(self, store: Store, owner_id: str, handler: Handler, pool: Executor) -> None:
        self._store = store
        self._owner_id = owner_id
        self._handler = handler
        self._pool = pool
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._answering: set[str] = set()
        self._thread = threading.Thread(target=self._work, name="peers", daemon=True)
        self._thread.start()

    def carry(self, study_id: str, method: str, request: bytes) -> bytes | None:
        """Get the answer of the study's owner.

        Returns:
            The encoded response; None if the study has no owner any more, so that this server can
            answer.

        Raises:
            BlackboxError: any error of the owner's method.
            NotOwner: if the owner runs but does not answer in time.
        """
        call_id = self._store.calls.ask(study_id, method, request)
        deadline = time.monotonic() + ANSWER_SECONDS
        try:
            while (answer := self._store.calls.answered(call_id)) is None:
                name = self._store.leases.owner_name(study_id)
                if not name:
                    return None
                if time.monotonic() > deadline or self._stopping.is_set():
                    raise NotOwner(
                        f"study {study_id!r} is run by {name}, which does not answer; try again",
                        retry_after=1.0,
                    )
                self._stopping.wait(LOOK_SECONDS / 2)
        finally:
            self._store.calls.forget(call_id)
        if answer.error:
            raise status.to_error(Status.FromString(answer.error))
        return answer.response

    def stop(self) -> None:
        """Stop answering calls."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                calls = self._store.calls.waiting(self._owner_id)
            except BlackboxError as error:
                log.warning("calls of other servers cannot be read: %s", error)
                self._stopping.wait(1.0)
                continue
            for call in calls:
                with self._lock:
                    if call.call_id in self._answering:
                        continue
                    self._answering.add(call.call_id)
                self._pool.submit(self._answer, call)

    def _answer(self, call: Call) -> None:
        try:
            answer = Answer(self._handler(call.method, call.request))
        except BlackboxError as error:
            answer = Answer(b"", status.to_status(error).SerializeToString())
        except Exception:
            log.exception("%s for another server failed", call.method)
            answer = Answer(b"", status.internal().SerializeToString())
        try:
            self._store.calls.answer(call.call_id, answer)
        except StoreError as error:
            log.warning("another server's %s could not be answered: %s", call.method, error)
        finally:
            with self._lock:
                self._answering.discard(call.call_id)
