"""Calls that the owner of a study answers for another server."""

import time

import pytest

from blackbox_am.catalogue import Catalogue
from blackbox_am.client import connect
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import NotFound
from blackbox_am.service import Config, running
from blackbox_am.service.peers import LOOK_SECONDS, Peers


def test_a_deletion_has_succeeded_although_its_answer_is_lost(tmp_path, monkeypatch):
    answer = Peers._answer

    def late(peers, call):
        if call.method == "DeleteStudy":
            write = peers._store.calls.answer
            monkeypatch.setattr(
                peers._store.calls,
                "answer",
                lambda *them: (time.sleep(10 * LOOK_SECONDS), write(*them)),
                raising=False,
            )
        answer(peers, call)

    monkeypatch.setattr(Peers, "_answer", late)
    config = Config(
        address="localhost:0",
        store=str(tmp_path / "s.sqlite3"),
        device="cpu",
        catalogue=Catalogue.from_plain({}),
    )
    with (
        running(config) as one,
        running(config) as two,
        connect(one) as owner,
        connect(two) as other,
    ):
        study = owner.create(targets=["u:0"], space=SpaceSpec("normal", 3), queries_per_target=20)
        study.ask()
        other.study(study.id).delete()
        with pytest.raises(NotFound):
            study.progress()
        with pytest.raises(NotFound):
            other.study(study.id).delete()
