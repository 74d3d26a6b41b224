"""A caller that leaves while its candidates are rendered does not keep them."""

import threading
import time
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from blackbox_am.client import connect
from blackbox_am.errors import ServerUnavailable
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.service import running


@dataclass(frozen=True)
class Slow(Pixels):
    """Renders when `release` is set."""

    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"release", "entered"})
    release: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)

    def render(self, latents):
        self.entered.set()
        self.release.wait()
        return super().render(latents)


@pytest.fixture
def slow(config):
    generator = Slow(shape=(3, 8, 8))
    config.catalogue.add_generator("slow", generator)
    return generator


def test_candidates_of_a_caller_that_left_are_free(config, slow):
    with running(config) as address, connect(address) as other:
        slow.release.set()
        study = other.create(targets=["n:0"], generator="slow", study_id="s", seed=0)
        everything = study.ask(lease=0.001)
        time.sleep(0.01)
        slow.release.clear()
        slow.entered.clear()
        try:
            with (
                connect(address, timeout=0.5) as client,
                pytest.raises(ServerUnavailable, match="renders"),
            ):
                client.study("s").ask(stimuli=True, lease=600, reconnect_seconds=0)
            assert slow.entered.is_set()
            assert not len(study.ask(timeout=0).ids), "the rendering still holds them"
        finally:
            slow.release.set()
        again = study.ask(timeout=20)
        assert list(again.ids) == list(everything.ids)
