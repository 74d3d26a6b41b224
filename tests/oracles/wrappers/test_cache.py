"""The cache: never buys twice, whoever asks, and believes nothing that is not its own."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest
import torch

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.metering import metering
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    InvalidSpec,
    OracleFailed,
    OracleUnavailable,
)
from blackbox_am.oracles.function import Function
from blackbox_am.oracles.http import Http
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers.cache import Cache
from blackbox_am.oracles.wrappers.cache._answers import AnswerBook
from blackbox_am.oracles.wrappers.measurement.noise import Noise
from blackbox_am.oracles.wrappers.measurement.quantise import Quantise

UNITS = [Unit("units", j) for j in range(10)]


@dataclass(frozen=True)
class Shop(Oracle):
    """A simulation that sells rows, and keeps the bill: (stimuli, units) of each call."""

    kind: ClassVar[str] = "shop"
    billable: ClassVar[bool] = True
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"sold", "script", "seconds"})
    sold: list = field(default_factory=list)
    script: list = field(default_factory=list)
    seconds: float = 0.0

    def describe(self):
        return Simulated().describe()

    def observe(self, stimuli, units):
        self.sold.append((stimuli.clone(), [str(unit) for unit in units]))
        time.sleep(self.seconds)
        answer = Simulated().observe(stimuli, units)
        act = self.script.pop(0) if self.script else None
        if isinstance(act, Exception):
            raise act
        return answer if act is None else act(answer)

    @property
    def rows(self):
        return sum(len(stimuli) for stimuli, _ in self.sold)


@dataclass(frozen=True)
class Free(Shop):
    kind: ClassVar[str] = "free"
    billable: ClassVar[bool] = False


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "answers.sqlite3")


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def cache(shop, path):
    found = Cache(shop, path)
    yield found
    found.close()


def images(rows=6, seed=0):
    return torch.rand(rows, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_only_misses_are_bought(cache, shop):
    x = images()
    expected = Simulated().observe(x, UNITS)
    assert torch.equal(cache.observe(x[:4], UNITS), expected[:4])
    assert torch.equal(cache.observe(x, UNITS), expected)
    assert torch.equal(cache.observe(x.flip(0), UNITS), expected.flip(0))
    assert [len(stimuli) for stimuli, _ in shop.sold] == [4, 2]
    assert torch.equal(shop.sold[1][0], x[4:])


def test_only_units_that_are_not_known_are_bought(cache, shop):
    x = images(3)
    expected = Simulated().observe(x, UNITS)
    cache.observe(x, UNITS[:3])
    cache.observe(x[:2], UNITS[5:6])
    answer = cache.observe(x, [UNITS[6], UNITS[5], UNITS[0], UNITS[6]])
    assert torch.equal(answer, expected[:, [6, 5, 0, 6]])
    asked = [(len(stimuli), units) for stimuli, units in shop.sold]
    assert asked[:2] == [(3, ["units:0", "units:1", "units:2"]), (2, ["units:5"])]
    assert sorted(asked[2:]) == [(1, ["units:6", "units:5"]), (2, ["units:6"])]


def test_a_stimulus_that_stands_in_a_batch_twice_is_bought_once(cache, shop):
    x = images(2)
    answer = cache.observe(x[[0, 1, 0, 0, 1]], UNITS)
    assert torch.equal(answer, Simulated().observe(x, UNITS)[[0, 1, 0, 0, 1]])
    assert shop.rows == 2


def test_one_bit_makes_another_stimulus(cache, shop):
    x = images(1)
    cache.observe(x, UNITS)
    y = x.clone()
    y.view(torch.int32)[0, 0, 0, 0] += 1
    cache.observe(y, UNITS)
    cache.observe(x.double(), UNITS)
    assert shop.rows == 3


def test_answers_outlive_the_process_and_serve_other_studies(shop, path):
    x = images()
    first = Cache(shop, path)
    expected = first.observe(x, UNITS)
    first.close()
    again = Cache(Shop(script=[OracleUnavailable("shop closed")]), path)
    assert torch.equal(again.observe(x, UNITS), expected)
    again.close()


def test_other_models_have_other_answers(path):
    x = images(2)
    one, two = Cache(Simulated(seed=1), path), Cache(Simulated(seed=2), path)
    one.observe(x, UNITS)
    assert torch.equal(two.observe(x, UNITS), Simulated(seed=2).observe(x, UNITS))
    one.close()
    two.close()


def test_what_only_sees_to_an_answer_makes_no_other_model(shop):
    assert Cache(shop, "a").fingerprint() == shop.fingerprint()
    assert Quantise(shop).fingerprint() != shop.fingerprint()


def test_an_api_is_told_from_another_and_no_secret_is_written():
    def api(**changes):
        common = {"stimulus_shape": (3, 8, 8), "labels": ("cat",), "headers": {"key": "secret"}}
        return Http("https://api.test/v1", **{**common, **changes}).fingerprint()

    assert api() == api(timeout_seconds=5, parallel=4)
    assert api() != api(template={"model": "large", "image": "$image"})
    assert api() != api(headers={"key": "another"})
    assert "secret" not in repr(api())


def test_a_function_has_to_be_named(closes, path):
    function = Function(lambda x: x.mean((1, 2, 3)), (3, 8, 8))
    unit = [Unit("scores", 0)]
    with pytest.raises(InvalidSpec, match="function has no name outside this process"):
        closes(Cache(function, path)).observe(images(), unit)
    for named in (
        Cache(function, path, model="mean"),
        Cache(replace(function, model="mean"), path),
    ):
        first = named.observe(images(), unit)
        assert torch.equal(named.observe(images(), unit), first)
        named.close()


def test_what_answers_differently_each_time_is_refused_unless_told(path):
    noisy = Noise(Simulated(), additive=0.5)
    with pytest.raises(InvalidSpec, match="nondeterministic = true"):
        Cache(noisy, path).describe()
    told = Cache(noisy, path, nondeterministic=True)
    first = told.observe(images(), UNITS)
    assert torch.equal(told.observe(images(), UNITS), first)
    assert told.describe().deterministic
    told.close()


def test_failed_rows_are_not_kept_and_infinite_ones_are(shop, cache):
    def spoilt(answer):
        answer = answer.clone()
        answer[1, 3] = torch.nan
        answer[2, 4] = torch.inf
        return answer

    shop.script.append(spoilt)
    x = images(4)
    first = cache.observe(x, UNITS)
    assert first[1, 3].isnan()
    assert first[2, 4].isinf()
    again, whole = cache.observe(x, UNITS), Simulated().observe(x, UNITS)
    assert torch.equal(again[[0, 1, 3]], whole[[0, 1, 3]])
    assert torch.equal(again[2], first[2])
    assert torch.equal(shop.sold[1][0], x[1:2])


def test_an_answer_of_another_shape_is_no_answer(shop, cache):
    shop.script.append(lambda answer: answer[:, :3])
    with pytest.raises(OracleFailed, match=r"shape \(6, 3\); expected \(6, 10\)"):
        cache.observe(images(), UNITS)
    assert torch.equal(cache.observe(images(), UNITS), Simulated().observe(images(), UNITS))


def test_after_a_failure_what_was_bought_is_kept(shop, cache):
    x = images(6)
    cache.observe(x[:3], UNITS[:1])
    shop.script.extend([None, OracleUnavailable("gone")])
    with pytest.raises(OracleUnavailable):
        cache.observe(x, UNITS[:2])  # two calls: three rows lack a unit, three lack both
    before = shop.rows
    cache.observe(x, UNITS[:2])
    assert shop.rows == before + 3


def test_a_free_model_sees_one_batch_shape(path):
    free = Free()
    cache = Cache(free, path)
    cache.describe()
    free.sold.clear()  # it was asked whether it repeats itself
    x = images(6)
    cache.observe(x[:4], UNITS)
    cache.observe(x, UNITS)
    assert [len(stimuli) for stimuli, _ in free.sold] == [4, 6]
    cache.close()


def test_rows_are_counted_where_they_are_answered(shop, cache):
    x = images(4)
    with metering() as meter:
        cache.observe(x[[0, 1, 1]], UNITS)
        cache.observe(x, UNITS)
    total = meter.total
    assert (total.calls, total.rows, total.cache_hits) == (2, 4, 3)
    assert meter.kept == meter.total.__class__(calls=2, rows=4)


def test_padding_is_no_hit(path):
    cache = Cache(Free(), path)
    x = images(2)
    for hits in (0, 2):
        with metering() as meter:
            cache.observe(x[[0, 1, 1, 1]], UNITS)
        assert meter.total.cache_hits == hits
    cache.close()


def test_what_came_between_looking_and_asking_is_not_bought(shop, cache, monkeypatch):
    x = images()
    read, looked = AnswerBook.read, []

    def slow(self, stimuli, units):
        found = read(self, stimuli, units)
        looked.append(None)
        if len(looked) == 1:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(cache.observe, x, UNITS).result()
        return found

    monkeypatch.setattr(AnswerBook, "read", slow)
    assert torch.equal(cache.observe(x, UNITS), Simulated().observe(x, UNITS))
    assert shop.rows == 6


def test_threads_that_want_the_same_at_once_buy_it_once(path):
    shop = Shop(seconds=0.05)
    cache = Cache(shop, path)
    x = images(8)
    expected = Simulated().observe(x, UNITS)
    rows = [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [0, 1, 6, 7]] * 3
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda r: cache.observe(x[r], UNITS), rows))
    for row, answer in zip(rows, answers, strict=True):
        assert torch.equal(answer, expected[row])
    assert shop.rows == 8
    cache.close()


def test_caches_that_share_a_file_buy_once_at_the_same_time(path):
    shop = Shop(seconds=0.03)
    caches = [Cache(shop, path) for _ in range(4)]
    x = images(8)
    expected = Simulated().observe(x, UNITS)
    rows = [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [0, 1, 6, 7]]
    with ThreadPoolExecutor(4) as pool:
        jobs = zip(caches * 3, rows * 3, strict=True)
        answers = list(pool.map(lambda job: job[0].observe(x[job[1]], UNITS), jobs))
    for row, answer in zip(rows * 3, answers, strict=True):
        assert torch.equal(answer, expected[row])
    assert shop.rows == 8
    for cache in caches:
        cache.close()


def test_who_waited_for_another_in_vain_asks_for_himself(path):
    shop = Shop(seconds=0.1, script=[OracleUnavailable("gone")])
    cache = Cache(shop, path)
    failed = []

    def first():
        try:
            cache.observe(images(), UNITS)
        except OracleUnavailable as error:
            failed.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    while not shop.sold:
        time.sleep(0.001)
    answer = cache.observe(images(), UNITS)
    thread.join()
    assert len(failed) == 1
    assert torch.equal(answer, Simulated().observe(images(), UNITS))
    cache.close()


def test_a_damaged_answer_is_bought_again(shop, path, caplog):
    x = images(3)
    cache = Cache(shop, path)
    cache.observe(x, UNITS)
    cache.close()
    connection = sqlite3.connect(path)
    (key, body) = connection.execute("SELECT stimulus, activations FROM answers").fetchone()
    spoilt = bytes([body[0] ^ 1]) + body[1:]
    connection.execute("UPDATE answers SET activations = ? WHERE stimulus = ?", (spoilt, key))
    connection.commit()
    connection.close()
    cache = Cache(shop, path)
    assert torch.equal(cache.observe(x, UNITS), Simulated().observe(x, UNITS))
    assert shop.rows == 4
    assert "damaged" in caplog.text
    cache.close()


def test_quantised_outside_of_the_cache_like_images_are_bought_once(shop, path):
    oracle = Quantise(Cache(shop, path))
    x = (images(2) * 255).round() / 255
    oracle.observe(x, UNITS)
    oracle.observe((x + 1e-4).clamp(0, 1), UNITS)
    assert shop.rows == 2
    oracle.close()


def test_all_hits_are_read_at_once(cache, shop):
    x = torch.rand(64, 3, 8, 8)
    expected = cache.observe(x, UNITS)
    rows, statements = shop.rows, []
    with cache._open().book._file.reading() as connection:
        connection.set_trace_callback(statements.append)
    assert torch.equal(cache.observe(x, UNITS), expected)
    assert shop.rows == rows
    assert [text.split()[0] for text in statements] == ["SELECT"] * 2  # answers, names of units


@pytest.mark.slow
def test_a_hit_is_twenty_times_faster_than_the_shipped_network(path):
    network = Catalogue.default().oracle("cifar_cnn")
    cache = Cache(network, path)
    units = [Unit("head", j) for j in range(10)]
    x = torch.rand(64, 3, 32, 32)
    with torch.no_grad():
        expected = cache.observe(x, units)

        def fastest(oracle, repeats):
            seconds = []
            for _ in range(repeats):
                start = time.process_time()
                answer = oracle.observe(x, units)
                seconds.append(time.process_time() - start)
            return min(seconds), answer

        slow, answer = fastest(network, 5)
        fast, hit = fastest(cache, 20)
    torch.testing.assert_close(answer, expected)
    assert torch.equal(hit, expected)
    print(f"hit {fast / 64 * 1e6:.1f} us a row, network {slow / 64 * 1e6:.1f} us a row")
    assert slow > 20 * fast
    cache.close()
