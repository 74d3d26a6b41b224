"""The runner of cases, with the Python driver, and with drivers that are wrong."""

import sys
import textwrap
import time
from pathlib import Path

import pytest

from blackbox_am.errors import InvalidSpec
from clients.conformance import case as case_module
from clients.conformance.case import Case, Step, cases
from clients.conformance.driver import Driver, DriverLost
from clients.conformance.run import ROOT, conformance, main
from clients.conformance.runner import Failed, Runner, python_driver

REQUIRED = {
    "server_info",
    "create_defaults",
    "create_twice_is_once",
    "create_other_spec_conflicts",
    "request_id_repeats",
    "validate_only_creates_nothing",
    "field_of_a_bad_request",
    "not_found",
    "retry_info",
    "listing_pages",
    "chunked_sample_equals_python",
    "best_pictures_above_4_mib",
    "watch_is_gap_free",
    "generations_paged",
    "ask_tell_same_as_python",
    "tell_again_is_repeated",
    "all_held_asks_to_come_back",
    "tell_wrong_candidate",
    "told_too_late",
    "pause_resume_cancel",
    "extend_goes_on",
    "delete_is_for_good",
    "watch_over_a_killed_server",
    "server_away",
    "oracle_described_and_observed",
    "oracle_streams_3_mib",
    "watch_over_sigterm",
    "categorical_codes",
    "oracle_uint8",
    "oracle_error_details",
    "damaged_chunk",
    "deadline",
    "unknown_enums_and_fields",
    "lease_expires",
    "observe_above_4_mib",
    "wrong_token",
    "tls_against_plain",
    "server_of_another_version",
    "a_model_that_throws",
    "nan_is_a_failed_measurement",
    "wrong_number_of_scores",
}


@pytest.fixture
def wrong(tmp_path):
    """A command of a driver that answers in its own way."""

    def write(answer):
        program = tmp_path / "driver.py"
        program.write_text(
            "import json, sys\nfor line in sys.stdin:\n    request = json.loads(line)\n"
            + textwrap.indent(answer, "    ")
            + "\n    sys.stdout.flush()\n"
        )
        return f"{sys.executable} {program}", tmp_path

    return write


def test_all_cases_are_there():
    found = [case.name for case in cases()]
    assert len(found) == len(set(found)) >= 36
    assert set(found) >= REQUIRED
    assert all(case.steps and case.about.endswith(".") for case in cases())
    saved = {case.name: {step.save for step in case.steps} for case in cases()}
    assert all(set(case.same) <= saved[case.name] for case in cases())


def test_the_python_client_passes_cases_of_fake_servers(capsys):
    chosen = [case for case in cases() if case.server in ("newer", "refusing", "damaged", "paged")]
    assert len(chosen) >= 8
    assert conformance("python", *python_driver(), chosen) == []
    assert f"python: {len(chosen)} of {len(chosen)} cases passed" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_python_client_passes_all_cases():
    assert conformance("python", *python_driver(), cases()) == []


def test_a_driver_that_answers_wrongly_is_named(wrong, capsys):
    driver = wrong('print(json.dumps({"id": request["id"], "ok": {"language": "klingon"}}))')
    step = Step("hello", expect={"language": "python"})
    assert conformance("other", *driver, [Case("says", "x.", (step,), server="")]) == ["says"]
    shown = capsys.readouterr().out
    assert "step 1 (hello): ok.language: expected 'python', got 'klingon'" in shown
    assert "other: failing cases: says" in shown


def test_a_result_that_differs_from_python_is_named(wrong, capsys):
    driver = wrong('print(json.dumps({"id": request["id"], "ok": {"language": "klingon"}}))')
    case = Case("says", "x.", (Step("hello", save="said"),), server="", same=("said",))
    assert conformance("other", *driver, [case]) == ["says"]
    assert "said differs from the Python client" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ('print("hello")', "expected an answer of the protocol"),
        ('sys.exit("no memory")', "ended with code 1\nno memory"),
        ("pass", "no answer within"),
    ],
)
def test_a_driver_that_is_lost(wrong, answer, says):
    with Driver(*wrong(answer)) as driver, pytest.raises(DriverLost, match=says):
        driver.collect(driver.send("hello", {}), 1)


def _ended(process: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_lost_driver_ends_with_its_children(wrong, tmp_path):
    started = "import subprocess; child = subprocess.Popen(['sleep', '60'], stdout=2)\n"
    started += "print(child.pid, file=sys.stderr)"
    with Driver(*wrong(f"{started}; sys.stderr.flush(); sys.exit()")) as driver:
        with pytest.raises(DriverLost, match="ended with code 0"):
            driver.collect(driver.send("hello", {}), 10)
        child = int(driver.tail())
    until = time.monotonic() + 20
    while not _ended(child):
        assert time.monotonic() < until, "the child of the driver still runs"
        time.sleep(0.02)


def test_a_driver_that_does_not_read(wrong, monkeypatch):
    monkeypatch.setattr("clients.conformance.driver.SEND_SECONDS", 0.3)
    with Driver(*wrong("import time; time.sleep(60)")) as driver:
        driver.send("hello", {})
        with pytest.raises(DriverLost, match=r"did not read its input for 0\.3 s"):
            driver.send("hello", {"text": "x" * 1_000_000})


def test_a_failing_case_shows_the_drivers_errors(wrong, capsys):
    answer = 'print("I am no python", file=sys.stderr)\n'
    answer += 'print(json.dumps({"id": request["id"], "ok": {"language": "klingon"}}))'
    step = Step("hello", expect={"language": "python"})
    assert conformance("other", *wrong(answer), [Case("says", "x.", (step,), server="")])
    shown = capsys.readouterr().out
    assert "standard error of the driver ends with:" in shown
    assert "  I am no python" in shown


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("$hallo", r"\$hallo has no value; did you mean 'hello'?"),
        ("$hello.tongue", r"the answer \$hello has no \$hello.tongue"),
        ("$hello.verbs.x", r"the answer \$hello has no"),
    ],
)
def test_a_case_with_an_unknown_value(wrong, word, says):
    answer = 'print(json.dumps({"id": request["id"], "ok": {"verbs": []}}))'
    steps = (Step("hello", save="hello"), Step("hello", expect={"nothing": word}))
    with Driver(*wrong(answer)) as driver, pytest.raises(Failed, match=says):
        Runner(None, {"driver": driver}, Case("says", "x.", steps, server="")).run()


def test_an_error_instead_of_an_answer(capsys):
    steps = (Step("fly"), Step("hello"))
    assert conformance("python", *python_driver(), [Case("flies", "x.", steps, server="")])
    assert "step 1 (fly): got the error" in capsys.readouterr().out


def test_a_wrong_case_is_told_with_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(case_module, "FOLDER", tmp_path)
    (tmp_path / "a.toml").write_text('[[case]]\nname = "x"\nabout = "y"\nsteps = [{ with = {} }]')
    with pytest.raises(InvalidSpec, match=r"a.toml: case\[0\].steps\[0\].do is missing"):
        cases()


def test_cases_are_listed(capsys):
    assert main(["--list", "--case", "watch_*"]) == 0
    assert "watch_is_gap_free" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--case", "nothing_like_it"])
    assert (ROOT / "clients" / "conformance" / "PROTOCOL.md").is_file()
