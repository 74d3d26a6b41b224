"""What a program may answer, and what is said of other answers."""

import time
from pathlib import Path

import pytest

from blackbox_am.errors import (
    OracleFailed,
    OracleTimeout,
    OracleUnavailable,
)
from tests.oracles.process.programs import GOOD, SUM, X, on_line, units


def test_null_is_a_row_that_could_not_be_measured(of) -> None:
    oracle = of(on_line('print(json.dumps({"scores": [[1, None, float("nan")]] * 5}), flush=True)'))
    answer = oracle.observe(X, units)
    assert answer.isnan().all(0).tolist() == [False, True, True]
    assert (answer[:, 0] == 1).all()


def test_errors_that_a_program_reports_do_not_end_it(of) -> None:
    oracle = of(
        "import json, os, sys\n"
        'print("loading on cpu", file=sys.stderr, flush=True)\n'
        "for number, line in enumerate(sys.stdin):\n"
        '    good = {"scores": [[os.getpid(), 2, 3]] * len(json.loads(line)["stimuli"])}\n'
        '    print(json.dumps({"error": "no cuda"} if number == 1 else good), flush=True)\n'
    )
    first = oracle.observe(X, [SUM])[0, 0]
    with pytest.raises(OracleFailed, match=r"reports: no cuda; its standard error ends: load"):
        oracle.observe(X, [SUM])
    assert oracle.observe(X, [SUM])[0, 0] == first


def test_errors_that_a_program_reports_in_frames(of) -> None:
    oracle = of(
        "import struct, sys\n"
        "while header := sys.stdin.buffer.read(8):\n"
        "    n, d = struct.unpack('<II', header)\n"
        "    sys.stdin.buffer.read(4 * n * d)\n"
        "    text = 'Gerät fehlt'.encode()\n"
        "    sys.stdout.buffer.write(struct.pack('<II', 0, len(text)) + text)\n"
        "    sys.stdout.buffer.flush()\n",
        protocol="frames",
    )
    for _ in range(2):
        with pytest.raises(OracleFailed, match="reports: Gerät fehlt"):
            oracle.observe(X, [SUM])


BAD = {
    "fewer rows": (
        'print(json.dumps({"scores": [[1, 2, 3]] * 4}), flush=True)',
        OracleFailed,
        "asked for 5 stimuli and answered with 4 rows",
    ),
    "more units": (
        'print(json.dumps({"scores": [[1, 2, 3, 4]] * 5}), flush=True)',
        OracleFailed,
        "row 0 with 4 of them; expected a list of 3 numbers",
    ),
    "numbers for rows": (
        'print(json.dumps({"scores": [1, 2, 3, 4, 5]}), flush=True)',
        OracleFailed,
        "row 0 with 1; expected a list of 3 numbers",
    ),
    "words": (
        'print(json.dumps({"scores": [["cat", 1, 2]] * 5}), flush=True)',
        OracleFailed,
        "row 0 with 'cat'; expected numbers, or null",
    ),
    "absurd numbers": (
        'print(json.dumps({"scores": [[10 ** 400, 1, 2]] * 5}), flush=True)',
        OracleFailed,
        "no float can hold",
    ),
    "another object": ('print("{}", flush=True)', OracleFailed, "expected .*scores"),
    "no object": ('print("[1]", flush=True)', OracleFailed, "expected .*scores"),
    "garbage": ('print("loading ...", flush=True)', OracleFailed, "'loading .*not a line of JSON"),
    "deep garbage": ('print("[" * 50000, flush=True)', OracleFailed, "not a line of JSON"),
    "bytes": (
        r'sys.stdout.buffer.write(b"\xff\x00\n"); sys.stdout.flush()',
        OracleFailed,
        "not a line of JSON",
    ),
    "two answers": (
        'print(2 * (json.dumps({"scores": [[1, 2, 3]] * 5}) + chr(10)), flush=True)',
        OracleFailed,
        "more than one answer",
    ),
    "a huge answer": (
        'sys.stdout.write("[1.0, " * 10**7); sys.stdout.flush()',
        OracleFailed,
        "more than the 66496 bytes",
    ),
    "an early end": (
        'print("no weights", file=sys.stderr); sys.exit(3)',
        OracleUnavailable,
        "ended with status 3 before it had answered; its standard error ends: no weights",
    ),
    "a crash": (
        "os.abort()",
        OracleUnavailable,
        r"ended by signal 6 \(Aborted\).*standard error is empty",
    ),
    "silence": ("time.sleep(30)", OracleTimeout, "did not answer within 0.6 s"),
    "half an answer": (
        'sys.stdout.write("{"); sys.stdout.flush(); time.sleep(30)',
        OracleTimeout,
        "did not answer within 0.6 s",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_makes_no_sense_is_said_and_the_next_call_starts_anew(
    case: str, of, tmp_path: Path
) -> None:
    statement, error, message = BAD[case]
    marker = tmp_path / "was-here"
    program = (
        "import json, os, sys, time\n"
        f"again = os.path.exists({str(marker)!r})\n"
        f"open({str(marker)!r}, 'w').close()\n"
        "for line in sys.stdin:\n"
        "    if again:\n"
        f"        {GOOD}\n"
        "    else:\n"
        f"        {statement}\n"
    )
    oracle = of(program, timeout_seconds=0.6, start_seconds=0.0)
    with pytest.raises(error, match=message):
        oracle.observe(X, units)
    assert oracle.observe(X, units).tolist() == [[1, 2, 3]] * 5


def test_the_first_answer_may_take_longer(of) -> None:
    program = "import time\ntime.sleep(0.4)\n" + on_line(GOOD)
    with pytest.raises(OracleTimeout, match=r"within 0\.2 s"):
        of(program, timeout_seconds=0.2, start_seconds=0.0).observe(X, units)
    assert of(program, timeout_seconds=0.2).observe(X, units).shape == (5, 3)


def test_output_before_the_first_request(of) -> None:
    oracle = of("import sys\nprint('welcome', flush=True)\n" + on_line(GOOD))
    with pytest.raises(OracleFailed, match=r"welcome.*(else|answers) to standard error"):
        oracle.observe(X, units)


def test_an_answer_too_many_is_not_taken_for_the_next(of) -> None:
    oracle = of(on_line(f"{GOOD}; time.sleep(0.1); {GOOD}"))
    oracle.observe(X, units)
    time.sleep(0.4)
    with pytest.raises(OracleFailed, match=r"wrote .*scores.* before it was asked"):
        oracle.observe(X, units)


def test_frames_of_another_size_are_not_read(of) -> None:
    oracle = of(
        "import sys\nsys.stdin.buffer.read(8)\n"
        "sys.stdout.buffer.write(b'\\xff' * 100)\nsys.stdout.flush()\nsys.stdin.read()\n",
        protocol="frames",
    )
    with pytest.raises(OracleFailed, match=r"announces 4294967295 rows .* expected 5 rows of 3"):
        oracle.observe(X, units)
