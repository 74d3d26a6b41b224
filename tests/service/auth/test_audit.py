"""The log of what callers changed, and of calls that were refused."""

import json
import os
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from blackbox_am.errors import (
    Forbidden,
    NotFound,
    QuotaExceeded,
    StoreError,
    StudyClosed,
    Unauthenticated,
)
from blackbox_am.service.auth.audit import AuditLog
from blackbox_am.service.auth.principals import Principal, Role
from tests.service.auth.conftest import begin

ANN = Principal("ann", Role.RUNNER)


def read(lab):
    return [json.loads(line) for line in (lab.folder / "audit.jsonl").read_text().splitlines()]


def test_changes_and_refusals_are_logged(lab, ann):
    study = begin(ann)
    study.pause()
    with pytest.raises(NotFound):
        ann.study("not-there-1")  # reading is not logged
    with lab.connect("bob") as bob, pytest.raises(NotFound):
        type(study)(bob._connection, study.id).delete()
    with lab.connect("eve") as eve, pytest.raises(Forbidden):
        begin(eve, study_id="forbidden-1")
    study.delete()
    lines = read(lab)
    mine = [line for line in lines if line["resource"] == f"studies/{study.id}"]
    assert [(one["principal"], one["method"], one["outcome"]) for one in mine] == [
        ("ann", "CreateStudy", "OK"),
        ("ann", "PauseStudy", "OK"),
        ("bob", "DeleteStudy", "NOT_FOUND"),
        ("ann", "DeleteStudy", "OK"),
    ]
    (refusal,) = [line for line in lines if line["resource"] == "forbidden-1"]
    assert (refusal["principal"], refusal["outcome"]) == ("eve", "FORBIDDEN")
    assert mine[0]["peer"].startswith(("ipv4:127.0.0.1:", "ipv6:"))
    assert datetime.now(UTC) - datetime.fromisoformat(mine[0]["time"]) < timedelta(minutes=5)
    assert (lab.folder / "audit.jsonl").stat().st_mode & 0o077 == 0
    assert not any(line["resource"] == "studies/not-there-1" for line in lines)


def test_a_log_that_cannot_be_written_is_no_secret(tmp_path):
    with pytest.raises(StoreError, match="cannot write the audit log"):
        AuditLog(tmp_path / "no" / "audit.jsonl")
    full = AuditLog(tmp_path / "audit.jsonl")
    full.close()
    with pytest.raises(StoreError, match="ended with OK and is not in the log"):
        full.write(ANN, "ipv4:1", "CreateStudy", "studies/a\n{}", "OK")
    log = AuditLog(tmp_path / "audit.jsonl")
    log.write(ANN, "ipv4:1", "CreateStudy", "studies/a\n{}", "OK")
    (line,) = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert json.loads(line)["resource"] == "studies/a\n{}"


def test_a_line_is_written_before_the_answer(lab, ann, monkeypatch):
    study, write = begin(ann), AuditLog.write

    def slowly(*arguments):
        time.sleep(0.3)
        write(*arguments)

    monkeypatch.setattr(AuditLog, "write", slowly)
    study.cancel()
    assert read(lab)[-1]["outcome"] == "OK"
    with pytest.raises(StudyClosed):
        study.extend(queries_per_target=9000)
    last = read(lab)[-1]
    assert (last["method"], last["outcome"]) == ("ExtendStudy", "STUDY_CLOSED")
    with pytest.raises(NotFound):
        begin(ann, generator="no-such")
    assert read(lab)[-1]["method"] == "CreateStudy"


def test_a_failed_change_that_cannot_be_logged_says_so(lab, ann, monkeypatch):
    study = begin(ann)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        for verb in (lambda: study.extend(queries_per_target=1), study.pause):
            with pytest.raises(StoreError, match="is not in the log"):
                verb()


def test_every_refusal_is_logged(lab):
    stimuli = np.zeros((11, 3, 8, 8), np.float32)
    with lab.connect("small") as small:
        for call in (
            lambda: small.observe("sim", stimuli, ["units:0"]),  # also a call that changes nothing
            lambda: small.sample("pixels", 11),
            lambda: small.probe("sim"),
            lambda: begin(small, oracle="sim", targets=["units:0"], queries_per_target=101),
        ):
            before = len(read(lab))
            with pytest.raises(QuotaExceeded):
                call()
            (line,) = read(lab)[before:]
            assert (line["principal"], line["outcome"]) == ("small", "QUOTA_EXCEEDED")
    before = len(read(lab))
    with pytest.raises(Unauthenticated):
        lab.connect("bam_00000000_no").__enter__().studies()
    assert {line["outcome"] for line in read(lab)[before:]} == {"UNAUTHENTICATED"}
