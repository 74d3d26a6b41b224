"""An answer in float64 arrives in float64, to the last bit, and infinity arrives as infinity."""

import json
import math
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.metering import metering, observed
from blackbox_am.core.oracle import Oracle, check_answer
from blackbox_am.core.units import Unit
from blackbox_am.errors import OracleFailed
from blackbox_am.oracles.function import Function
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.oracles.http import Http
from blackbox_am.oracles.process.subprocess import Subprocess
from blackbox_am.oracles.wrappers.cache import Cache
from blackbox_am.oracles.wrappers.delivery.retry import Retry
from blackbox_am.oracles.wrappers.measurement.repeat import Repeat
from blackbox_am.service import Config, running

NUMBERS = [-1.5e6 - 1e-9, 1e-60, math.inf, -math.inf, math.nan, 2.0**53 - 1, -0.1]
"""One a row. A row's stimulus says which: its mean is the place in this list, over 10."""
STIMULI = torch.arange(len(NUMBERS))[:, None, None, None].expand(-1, 1, 2, 2) / 10
SCORES = [Unit.parse("scores:0")]
PROGRAM = f"""
import json, sys
inf, nan = float("inf"), float("nan")
for line in sys.stdin:
    rows = json.loads(line)["stimuli"]
    print(json.dumps({{"scores": [[{NUMBERS}[round(10 * row[0])]] for row in rows]}}), flush=True)
"""


def numbers_of(stimuli: Any) -> np.ndarray:
    places = np.rint(10 * np.asarray(stimuli).reshape(len(stimuli), -1)[:, 0]).astype(int)
    return np.array(NUMBERS)[places]


class Api(BaseHTTPRequestHandler):
    """An API that says one number, or a list of them."""

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        found = numbers_of(asked["instances"]).tolist()
        answers = {
            "/one": {"score": found[0]},
            "/alone": found[0],
            "/many": {"predictions": found},
            "/rows": {"predictions": [[number] for number in found]},
        }
        body = json.dumps(answers[self.path]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def exact(oracle: Oracle, stimuli: torch.Tensor = STIMULI) -> None:
    answer = oracle.observe(stimuli, SCORES)
    assert answer.dtype == torch.float64
    np.testing.assert_array_equal(answer[:, 0].numpy(), numbers_of(stimuli))


def function(**more: Any) -> Function:
    return Function(numbers_of, (1, 2, 2), **more)


def test_a_function() -> None:
    exact(function())
    exact(Function(lambda x: torch.tensor(numbers_of(x)), (1, 2, 2), arrays="torch"))
    exact(Function(lambda x: float(numbers_of(x[None])[0]), (1, 2, 2), batch=False))


def test_a_function_of_integers() -> None:
    large = Function(lambda x: np.full(len(x), 2**53 - 1), (1,))
    answer = large.observe(torch.zeros(2, 1), SCORES)
    assert answer.tolist() == [[2.0**53 - 1]] * 2


def test_half_precision_overflows_to_infinity() -> None:
    weights = np.full(16, 6600, np.float16)

    def net(x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            products = x.reshape(len(x), -1).astype(np.float16) * weights
            return products.sum(1, dtype=np.float32).astype(np.float16)

    oracle = Function(net, (1, 4, 4))
    answer = oracle.observe(torch.stack([torch.full((1, 4, 4), v) for v in (0.5, 1.0)]), SCORES)
    assert answer.dtype == torch.float32
    assert answer.tolist() == [[pytest.approx(52800, rel=1e-3)], [math.inf]]


def test_a_program(tmp_path: Path) -> None:
    (tmp_path / "answers.py").write_text(PROGRAM)
    oracle = Subprocess((sys.executable, "-S", str(tmp_path / "answers.py")), (1, 2, 2), units=1)
    exact(oracle)
    oracle.close()


@pytest.mark.parametrize(
    ("path", "scores", "image", "size"),
    [
        ("one", "score", "$image", 1),
        ("one", "[score]", "$image", 1),
        ("alone", "@", "$image", 1),
        ("many", "predictions", "$images", 16),
        ("many", "predictions[].[@]", "$images", 16),
        ("rows", "predictions", "$images", 16),
    ],
)
def test_an_api_that_answers_with_bare_numbers(
    api: str, path: str, scores: str, image: str, size: int
) -> None:
    template = {"instances": image if image == "$images" else [image]}
    oracle = Http(
        f"{api}/{path}",
        (1, 2, 2),
        units=1,
        image="floats",
        template=template,
        scores=scores,
        batch_size=size,
    )
    exact(oracle)
    oracle.close()


def test_a_bare_number_for_several_units_is_refused(api: str) -> None:
    template = {"instances": ["$image"]}
    oracle = Http(
        f"{api}/one", (1, 2, 2), units=2, image="floats", template=template, scores="score"
    )
    with pytest.raises(OracleFailed, match="expected a list of numbers, or numbers by label, got"):
        oracle.observe(STIMULI[:1], SCORES)
    oracle.close()


def test_another_server() -> None:
    catalogue = Catalogue()
    catalogue.add_oracle("numbers", function())
    config = Config(address="localhost:0", store=":memory:", device="cpu", catalogue=catalogue)
    with running(config) as address:
        oracle = Remote(address, "numbers")
        exact(oracle)
        exact(oracle, STIMULI.repeat(40, 1, 1, 1))
        oracle.close()


def test_wrappers(tmp_path: Path) -> None:
    cache = Cache(function(), str(tmp_path / "answers.sqlite3"), model="numbers")
    exact(cache)
    exact(cache)
    exact(Cache(function(), str(tmp_path / "answers.sqlite3"), model="numbers"))
    exact(Retry(function()))
    exact(Repeat(function(), 2))
    cache.close()


def test_a_cache_answers_in_the_precision_of_its_oracle(tmp_path: Path) -> None:
    narrow = Function(lambda x: numbers_of(x).astype(np.float32), (1, 2, 2))
    cache = Cache(narrow, str(tmp_path / "answers.sqlite3"), model="narrow")
    for _ in range(2):
        assert cache.observe(STIMULI[5:], SCORES).dtype == torch.float32
    cache.close()


def test_other_dtypes_are_no_answer() -> None:
    check_answer(torch.zeros(2, 1, dtype=torch.float64), 2, 1)
    with pytest.raises(OracleFailed, match=r"dtype torch.float16; expected float32 or float64"):
        check_answer(torch.zeros(2, 1, dtype=torch.float16), 2, 1)


def test_the_row_that_describes_a_function_is_counted() -> None:
    with metering() as meter:
        observed(function(), STIMULI, SCORES)
    assert (meter.total.calls, meter.total.rows) == (2, len(STIMULI) + 1)
