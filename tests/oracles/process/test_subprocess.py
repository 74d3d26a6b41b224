import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.errors import (
    InvalidSpec,
    OracleUnavailable,
)
from blackbox_am.oracles.process.subprocess import Subprocess
from blackbox_am.service.config import load_config
from blackbox_am.testing.oracles import OracleContract
from tests.oracles.process.programs import GOOD, SUM, TOP, X, on_line, units

EXPECTED = torch.stack([X.sum((1, 2)), X.amax((1, 2)), X[:, 0, 0] * X[:, 1, 2]], dim=1)
FRAMES_IN_C = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    uint32_t header[2];
    while (fread(header, 4, 2, stdin) == 2) {
        uint32_t n = header[0], d = header[1], answer[2] = {n, 3};
        float *row = malloc(4 * d);
        fwrite(answer, 4, 2, stdout);
        for (uint32_t i = 0; i < n; i++) {
            if (fread(row, 4, d, stdin) != d) return 1;
            float out[3] = {0, row[0], row[0] * row[d - 1]};
            for (uint32_t j = 0; j < d; j++) {
                out[0] += row[j];
                if (row[j] > out[1]) out[1] = row[j];
            }
            fwrite(out, 4, 3, stdout);
        }
        fflush(stdout);
        free(row);
    }
    return 0;
}
"""
FRAMES_IN_PERL = r"""
use strict; use List::Util qw(sum max);
binmode STDIN; binmode STDOUT; $| = 1;
while (read(STDIN, my $header, 8) == 8) {
    my ($n, $d) = unpack("V2", $header);
    my $answer = pack("V2", $n, 3);
    for (1 .. $n) {
        read(STDIN, my $row, 4 * $d);
        my @x = unpack("f<*", $row);
        $answer .= pack("f<3", sum(@x), max(@x), $x[0] * $x[-1]);
    }
    print $answer;
}
"""
JSON_IN_SHELL = r"""
while IFS= read -r line; do
    printf '%s\n' "$line" | awk '{
        sub(/.*"stimuli":\[\[/, ""); sub(/\]\]}.*/, "")
        n = split($0, row, /\],\[/); out = ""
        for (i = 1; i <= n; i++) {
            d = split(row[i], x, ","); sum = 0; top = x[1] + 0
            for (j = 1; j <= d; j++) { sum += x[j]; if (x[j] + 0 > top) top = x[j] + 0 }
            out = out (i > 1 ? "," : "") sprintf("[%.9g,%.9g,%.9g]", sum, top, x[1] * x[d])
        }
        print "{\"scores\":[" out "]}"
    }'
done
"""


def needs(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"needs {program}")
    return path


class TestFrames(OracleContract):
    @pytest.fixture
    def oracle(self, tmp_path: Path) -> Iterator[Subprocess]:
        (tmp_path / "answers.pl").write_text(FRAMES_IN_PERL)
        command = (needs("perl"), str(tmp_path / "answers.pl"))
        oracle = Subprocess(command, (2, 3), units=3, protocol="frames")
        yield oracle
        oracle.close()


def test_a_program_in_c(tmp_path: Path, open_oracles: list[Subprocess]) -> None:
    compiler = needs("cc")
    (tmp_path / "answers.c").write_text(FRAMES_IN_C)
    program = str(tmp_path / "answers")
    subprocess.run([compiler, str(tmp_path / "answers.c"), "-o", program], check=True)
    oracle = Subprocess((program,), (2, 3), units=3, protocol="frames", batch_size=2)
    open_oracles.append(oracle)
    torch.testing.assert_close(oracle.observe(X, units), EXPECTED)
    assert torch.equal(oracle.observe(X, [TOP])[:, 0], EXPECTED[:, 1])


def test_a_program_in_shell(open_oracles: list[Subprocess]) -> None:
    needs("awk")
    oracle = Subprocess((needs("sh"), "-c", JSON_IN_SHELL), (2, 3), units=3)
    open_oracles.append(oracle)
    for _ in range(2):
        torch.testing.assert_close(oracle.observe(X, units).float(), EXPECTED)


def test_batches_larger_than_any_pipe(json_program: list[str]) -> None:
    stimuli = torch.rand(40, 3, 64, 64)
    oracle = Subprocess(tuple(json_program), (3, 64, 64), units=3)
    answer = oracle.observe(stimuli, units)
    torch.testing.assert_close(answer[:, 0].float(), stimuli.sum((1, 2, 3)))
    oracle.close()


def test_it_is_started_once_and_anew_when_it_has_ended(of) -> None:
    oracle = of(
        on_line(
            'n = len(json.loads(line)["stimuli"]);'
            ' print(json.dumps({"scores": [[os.getpid(), 0, 0]] * n}), flush=True)'
        )
    )
    first = int(oracle.observe(X, [SUM])[0, 0])
    assert int(oracle.observe(X, [SUM])[0, 0]) == first
    os.kill(first, signal.SIGKILL)
    time.sleep(0.05)
    second = int(oracle.observe(X, [SUM])[0, 0])
    assert second != first
    oracle.close()
    assert not alive(second)
    assert int(oracle.observe(X, [SUM])[0, 0]) not in (first, second)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_close_ends_the_whole_group(of, tmp_path: Path) -> None:
    # The child ignores the polite signal, and lives in the group of the program.
    oracle = of(
        "import json, subprocess, sys\n"
        "wait = 'import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True);"
        " time.sleep(60)'\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', wait], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "for line in sys.stdin:\n"
        "    n = len(json.loads(line)['stimuli'])\n"
        "    print(json.dumps({'scores': [[child.pid, 0, 0]] * n}), flush=True)\n"
    )
    child = int(oracle.observe(X, [SUM])[0, 0])
    assert alive(child)
    oracle.close()
    for _ in range(100):
        if not alive(child):
            break
        time.sleep(0.02)
    assert not alive(child)
    oracle.close()


def test_close_ends_a_call_that_waits(of) -> None:
    oracle = of(on_line("time.sleep(60)"))
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(oracle.observe, X, [SUM])
        while "_process" not in vars(oracle):
            time.sleep(0.01)
        time.sleep(0.1)
        oracle.close()
        with pytest.raises(OracleUnavailable, match="ended by signal 15"):
            call.result()


def test_nobody_is_left_behind_when_the_interpreter_ends(
    tmp_path: Path, json_program: list[str]
) -> None:
    deaf = tmp_path / "deaf.py"
    deaf.write_text("import time\nprint('x', flush=True)\ntime.sleep(60)\n")
    host = (
        "import sys\n"
        "from blackbox_am.oracles.process._process import Process\n"
        f"process = Process([sys.executable, '-S', {str(deaf)!r}], None, {{}})\n"
        "print(process._popen.pid)\n"
    )
    found = subprocess.run([sys.executable, "-c", host], capture_output=True, check=True, text=True)
    assert not alive(int(found.stdout))


def test_a_talkative_program_is_not_blocked(of) -> None:
    noise = "sys.stderr.write('x' * 300000 + 'the end\\n'); sys.stderr.flush()"
    oracle = of(on_line(f"{noise}; {GOOD}"))
    for _ in range(3):
        assert oracle.observe(X, units).shape == (5, 3)
    oracle = of(on_line(f"{noise}; sys.exit(1)"))
    with pytest.raises(OracleUnavailable, match=r"xxx.*the end$") as found:
        oracle.observe(X, units)
    assert len(found.value.message) < 2500


def test_environment_and_folder(of, tmp_path: Path) -> None:
    statement = (
        'print(json.dumps({"scores": [[float(os.environ["GAIN"]), len(os.getcwd()), 0]] * 5}),'
        " flush=True)"
    )
    oracle = of(on_line(statement), environment={"GAIN": "2.5"}, folder=str(tmp_path))
    assert oracle.observe(X, units)[0].tolist() == [2.5, len(str(tmp_path.resolve())), 0]


def test_programs_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="cannot start '/no/such/program'"):
        Subprocess(("/no/such/program",), (2, 3), units=1).observe(X, [SUM])
    (tmp_path / "plain.txt").write_text("x")
    with pytest.raises(InvalidSpec, match=r"cannot start .*Permission"):
        Subprocess((str(tmp_path / "plain.txt"),), (2, 3), units=1).observe(X, [SUM])


def test_an_operator_writes_it_in_the_configuration(
    tmp_path: Path, json_program: list[str]
) -> None:
    (tmp_path / "server.toml").write_text(
        f'[oracles.mine]\nkind = "subprocess"\ncommand = {json_program}\n'
        'stimulus_shape = [2, 3]\nlabels = ["sum", "top", "ends"]\nprotocol = "json"\n'
        'timeout_seconds = 20\nenvironment = { GAIN = "1" }\n'
    )
    oracle = load_config(tmp_path / "server.toml").catalogue.oracle("mine")
    assert oracle.describe().layers[0].labels == ("sum", "top", "ends")
    torch.testing.assert_close(oracle.observe(X, units).float(), EXPECTED)
    oracle.close()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"command": []}, "command: expected a program"),
        ({"command": [""]}, "command: expected a program"),
        ({"units": 0}, "units: expected how many"),
        ({"labels": ["a"]}, "labels: expected 2"),
        ({"protocol": "xml"}, "xml"),
        ({"timeout_seconds": math.inf}, "timeout_seconds"),
        ({"start_seconds": -1.0}, "start_seconds"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_parameters(parameters: dict[str, object], message: str) -> None:
    good = {"command": ["true"], "stimulus_shape": (2, 3), "units": 2}
    with pytest.raises(InvalidSpec, match=message):
        plugins.oracles.build("subprocess", {**good, **parameters})
