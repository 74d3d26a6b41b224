"""Clients beside the Python client: their programs, ratios, and the watcher after a kill."""

import sys
from pathlib import Path

import numpy as np
import pytest

from blackbox_am.bench import clients
from blackbox_am.bench.client_program import first_two
from blackbox_am.bench.reconnecting import Driver
from blackbox_am.errors import InvalidInput, ServerFailed

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    for name, bench in (("cpp", "printer 1"), ("rust", "")):
        (tmp_path / "clients" / name).mkdir(parents=True)
        toml = tmp_path / "clients" / name / "client.toml"
        toml.write_text(f'bench = "{bench}"\ndriver = "driver"\n')
    return tmp_path / "clients"


def test_programs_of_clients(folder):
    found = clients.programs_of(folder, [])
    assert [one.language for one in found] == ["python", "cpp", "rust"]
    assert found[1].bench == "printer 1"
    assert found[1].folder == folder / "cpp"
    with pytest.raises(InvalidInput, match="no client 'ada'; known: cpp, rust"):
        clients.programs_of(folder, ["ada"])


def test_a_client_that_is_not_built_is_skipped(folder):
    heard = []
    found = clients.built(clients.programs_of(folder, []), [], heard.append)
    assert [one.language for one in found] == ["python"]
    assert heard[0].startswith("skipped: cpp is not built (driver is missing)")
    (folder / "rust" / "driver").touch()
    with pytest.raises(InvalidInput, match="cpp is not built"):
        clients.built(clients.programs_of(folder, []), ["cpp"], heard.append)


def test_a_script_that_is_not_built_is_missing(tmp_path):
    script = clients.Program("js", f"{sys.executable} dist/bench.js", "true", tmp_path)
    heard = []
    assert clients.built([script], [], heard.append) == []
    assert "js is not built (dist/bench.js is missing)" in heard[0]
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "bench.js").touch()
    assert clients.built([script], [], heard.append) == [script]


def test_a_program_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(clients, "LIMIT_SECONDS", 0.0)
    program = clients.Program("cpp", "", "", tmp_path)
    with pytest.raises(ServerFailed, match=r"of cpp did not end within 0\.2 s"):
        clients._run(program, "sleep 60", 0.02)


def test_a_driver_that_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setattr("blackbox_am.bench.reconnecting.WAIT_SECONDS", 0.1)
    asleep = Driver("sleep 60", tmp_path, {})
    with asleep as driver, pytest.raises(ServerFailed, match="did not answer within"):
        driver.ask("hello")


def test_ratios_go_by_turns():
    turns = {
        "python": [{"ask_tell_candidates_per_s": x, "observe_stream_mb_per_s": 10} for x in (1, 4)],
        "cpp": [{"ask_tell_candidates_per_s": x, "observe_stream_mb_per_s": 5} for x in (2, 8)],
    }
    lines = {line.name: line for line in clients._compared(turns, 512)}
    assert lines["ask + tell, D = 512: cpp"].ratio == 2.0
    assert lines["ask + tell, D = 512: cpp"].met
    assert lines["ObserveStream: cpp"].met is False
    assert lines["ObserveStream: python"].met is None
    assert len(clients._compared(turns, 4096)) == 2  # without ObserveStream


def test_the_longest_reconnect_is_compared():
    found = {"python": [1.0, 1.0], "cpp": [0.5, 3.5]}
    line = clients._reconnect("cpp", found)
    assert (line.value, line.met) == (3.5, False)
    assert clients._reconnect("python", found).met


def test_a_failing_program_is_told(folder):
    program = clients.Program("cpp", "", "", folder)
    with pytest.raises(ServerFailed, match="cpp ended with code 3: no server"):
        clients._run(
            program,
            f"{sys.executable} -c 'import sys; print(\"no server\", file=sys.stderr); sys.exit(3)'",
            1,
        )


def test_a_driver_that_ends(tmp_path):
    with Driver("cat /nowhere", tmp_path, {}) as driver, pytest.raises(ServerFailed, match="ended"):
        driver.ask("hello")


def test_the_servers_oracle():
    stimuli = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(first_two(stimuli), [[0, 1], [12, 13]])


@pytest.mark.slow
def test_the_python_client_alone(folder):
    python = clients.programs_of(ROOT / "clients", [])[:1]
    lines = [*clients.rates(python, 1, 0.5, print), *clients.reconnects(python, 1, print)]
    assert [line.ratio for line in lines] == [1.0] * 4
    assert all(line.value > 0 for line in lines)
