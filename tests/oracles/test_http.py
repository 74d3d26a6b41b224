import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from blackbox_am import plugins
from blackbox_am.core.capability import Capability
from blackbox_am.core.metering import metering
from blackbox_am.core.types import Accounting
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    InvalidSpec,
    MessageTooLarge,
    MissingExtra,
    OracleError,
    OracleFailed,
    OracleTimeout,
    OracleUnavailable,
)
from blackbox_am.oracles.http import Http
from blackbox_am.oracles.http._failure import retry_after
from blackbox_am.oracles.wrappers.delivery.halving import Halving
from blackbox_am.service.config import load_config

Of = Callable[..., Http]
Seen = list[tuple[str, dict[str, str], bytes]]

CLASSES = ("cat", "dog", "owl", "bee")
X = torch.rand(5, 3, 6, 6, generator=torch.Generator().manual_seed(0))
UNITS = [Unit("scores", j) for j in range(4)]


@pytest.fixture
def of(api: str) -> Iterator[Of]:
    """`of(path, **parameters)`: an oracle on the test API."""
    opened = []

    def make(path: str, **more: object) -> Http:
        opened.append(Http(f"{api}/{path}", (3, 6, 6), **{"labels": CLASSES, **more}))
        return opened[-1]

    yield make
    for oracle in opened:
        oracle.close()


def expected(stimuli: torch.Tensor) -> torch.Tensor:
    """What the API's network says."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4))
    with torch.no_grad():
        return net(stimuli).softmax(1)


def rounded(stimuli: torch.Tensor) -> torch.Tensor:
    return (stimuli * 255).round() / 255


def test_describes_itself_by_its_configuration(of: Of) -> None:
    info = of("scores").describe()
    assert info.capabilities == Capability.SCORES
    assert info.stimulus_shape == (3, 6, 6)
    assert info.layers[0].labels == CLASSES
    assert Http.billable


def assert_near(answer: torch.Tensor, expected: torch.Tensor, **tolerance: float) -> None:
    """JSON holds numbers of float64, so an answer is float64; what it holds was float32."""
    assert answer.dtype == torch.float64
    torch.testing.assert_close(answer.float(), expected, **tolerance)


def test_a_png_in_json(of: Of, requests_seen: Seen) -> None:
    answer = of("scores").observe(X, UNITS)
    assert_near(answer, expected(rounded(X)))
    assert len(requests_seen) == 5
    _, headers, body = requests_seen[0]
    assert json.loads(body)["image"].startswith("iVBOR")
    assert headers["User-Agent"].startswith("blackbox-am/")
    assert headers["Accept-Encoding"] == "identity"


def test_numbers_in_json(of: Of) -> None:
    assert_near(of("floats", image="floats").observe(X, UNITS), expected(X))
    answer = of("bytes", image="bytes", channels_last=True).observe(X, UNITS)
    assert_near(answer, expected(rounded(X)))


def test_many_stimuli_in_one_request(of: Of, requests_seen: Seen) -> None:
    oracle = of(
        "batch",
        template={"signature": "serving", "instances": "$images"},
        item={"b64": "data:image/png;base64,$image"},
        scores="predictions[].p",
        batch_size=2,
    )
    assert_near(oracle.observe(X, UNITS), expected(rounded(X)))
    assert [len(json.loads(body)["instances"]) for _, _, body in requests_seen] == [2, 2, 1]


def test_a_batch_that_an_api_refuses_as_too_large_is_halved(of: Of, requests_seen: Seen) -> None:
    api = of(
        "picky",
        template={"signature": "serving", "instances": "$images"},
        item={"b64": "data:image/png;base64,$image"},
        scores="predictions[].p",
    )
    with pytest.raises(MessageTooLarge, match="answered 413: 'Payload Too Large'"):
        api.observe(X, UNITS)
    requests_seen.clear()
    oracle = Halving(api)
    with metering() as meter:
        assert_near(oracle.observe(X, UNITS), expected(rounded(X)))
        assert oracle.observe(X[:4], UNITS).shape == (4, 4)
    sizes = [len(json.loads(body)["instances"]) for _, _, body in requests_seen]
    assert sizes == [5, 2, 2, 1, 2, 2], "it remembers what fits"
    assert meter.total == Accounting(calls=6, rows=14, retries=1, retried_rows=5)


def test_requests_at_the_same_time(of: Of, requests_seen: Seen) -> None:
    answer = of("scores", parallel=3).observe(X, UNITS)
    assert_near(answer, expected(rounded(X)))
    assert len(requests_seen) == 5
    with pytest.raises(OracleFailed, match="label"):
        of("together", parallel=5, answer="label").observe(X, UNITS)


def test_raw_and_multipart_files(of: Of) -> None:
    assert_near(of("raw", body="raw").observe(X, UNITS), expected(rounded(X)))
    template = {"model": "m-1", "photo": "$image"}
    oracle = of("multipart", body="multipart", image="jpeg", template=template)
    smooth = torch.linspace(0, 1, 6).expand(1, 3, 6, 6)
    assert_near(oracle.observe(smooth, UNITS), expected(smooth), atol=0.02, rtol=0.1)


def test_grey_images() -> None:
    import io

    from PIL import Image

    from blackbox_am.oracles.http._request import encoded

    grey = X[0, :1].numpy()
    image = Image.open(io.BytesIO(encoded(grey, "png", channels_last=False)))
    assert (image.mode, image.size) == ("L", (6, 6))


def test_only_the_best_few(of: Of) -> None:
    pairs = "result.classes[].[name, score]"
    top = of("top", scores=pairs, answer="top", missing=math.nan)
    exact = expected(rounded(X))
    best = exact >= exact.topk(2).values[:, 1:]
    answer = top.observe(X, UNITS)
    assert torch.equal(answer.isnan(), ~best)
    assert_near(answer[best], exact[best])
    floor = of("top", scores=pairs, answer="top", missing=0.0).observe(X, UNITS)
    assert torch.equal(floor == 0, ~best)
    lacking = "a number for each of 4 labels, got none for "
    with pytest.raises(OracleFailed, match=rf"{lacking}.*'top'"):
        of("top", scores=pairs).observe(X, UNITS)
    with pytest.raises(OracleFailed, match=rf"{lacking}.*set missing to the score"):
        of("top", scores=pairs, answer="top").observe(X, UNITS)
    with pytest.raises(OracleFailed, match=r"written \[\].\[label, score\] in scores.*name, score"):
        of("top", scores="result.classes[]", answer="top", missing=0.0).observe(X, UNITS)


def test_labels_that_nobody_has_named(of: Of) -> None:
    few = {"scores": "result.classes[].[name, score]", "answer": "top", "labels": ("cats", "owls")}
    with pytest.raises(OracleFailed, match=r"is none of the 2 labels.*ignore_others"):
        of("top", **few).observe(X, UNITS[:2])
    few["missing"] = math.nan
    assert of("top", **few, ignore_others=True).observe(X, UNITS[:2]).isnan().all()


@pytest.mark.parametrize("place", ["label", "index"])
def test_only_a_label(of: Of, place: str) -> None:
    answer = of("label", scores=place, answer="label").observe(X, UNITS)
    assert torch.equal(answer.argmax(1), expected(rounded(X)).argmax(1))
    assert torch.equal(answer.sum(1), torch.ones(5))


def test_secrets_stand_nowhere_but_in_the_request(
    of: Of,
    requests_seen: Seen,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TEST_API_KEY", "sk-very-secret")
    (tmp_path / "key").write_text("from-a-file\n")
    headers = {"Authorization": "Bearer ${TEST_API_KEY}", "X-Other": f"${{file:{tmp_path}/key}}"}
    oracle = of("scores", headers=headers)
    oracle.observe(X[:1], UNITS)
    sent = requests_seen[0][1]
    assert (sent["Authorization"], sent["X-Other"]) == ("Bearer sk-very-secret", "from-a-file")
    monkeypatch.setenv("TEST_API_KEY", "sk-rotated")
    oracle.observe(X[:1], UNITS)
    assert requests_seen[1][1]["Authorization"] == "Bearer sk-rotated"
    denied = of("denied", headers=headers)
    with pytest.raises(OracleFailed, match=r"401: 'no such key: Bearer \*\*\*'.*headers") as found:
        denied.observe(X[:1], UNITS)
    assert found.value.__suppress_context__
    said = [repr(oracle), repr(oracle.describe()), str(found.value), caplog.text]
    assert not any("sk-" in text or "from-a-file" in text for text in said)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("${NO_SUCH_KEY_HERE}", "variable 'NO_SUCH_KEY_HERE' is not set"),
        ("${file:/no/such/key}", "cannot read /no/such/key: No such file"),
        ("${TEST_BAD_KEY}", r"what \$\{TEST_BAD_KEY\} names .* characters that a header cannot"),
    ],
)
def test_secrets_that_are_not_there(
    of: Of, header: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_BAD_KEY", "hid\nden")
    with pytest.raises(InvalidSpec, match=message) as found:
        of("scores", headers={"Key": header}).observe(X, UNITS)
    assert "hid" not in str(found.value)
    assert found.value.field == "headers.Key"


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("away", OracleUnavailable, "answered 503"),
        ("large", MessageTooLarge, r"413: 'too large'; give the oracle a smaller batch_size"),
        ("broken", OracleFailed, "answered 500: 'Traceback"),
        ("garbage", OracleFailed, "expected JSON, got '<html>'"),
        ("huge", OracleFailed, "more than 5000 bytes; raise max_answer_bytes"),
        ("zipped", OracleFailed, "compressed data"),
        ("slow", OracleTimeout, r"did not answer within 0\.4 s"),
        ("drip", OracleTimeout, r"did not answer within 0\.4 s"),
        (
            "elsewhere",
            OracleFailed,
            r"another host, http://other\.example/scores, which is",
        ),
        ("moved", OracleFailed, "answered 302 and redirects to http://127.*/scores; give that"),
        ("round", OracleFailed, "redirected 4 times"),
        ("hangup", OracleUnavailable, "cannot reach it"),
    ],
)
def test_answers_that_are_none(of: Of, path: str, error: type[OracleError], message: str) -> None:
    oracle = of(path, timeout_seconds=0.4, max_answer_bytes=5000)
    with pytest.raises(error, match=message) as found:
        oracle.observe(X[:1], UNITS)
    assert str(found.value).startswith(f"the API at {oracle.url}: ")
    assert found.value.retry_after is None


def test_a_busy_api_says_when_to_come_back(of: Of) -> None:
    with pytest.raises(OracleUnavailable, match="429: 'slow down'; it says to come back in 7") as e:
        of("busy").observe(X, UNITS)
    assert e.value.retry_after == 7


def test_when_to_come_back_as_a_date() -> None:
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 90))
    assert 80 < (retry_after(later) or 0) <= 90
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after("Wed, 21 Oct 2015 07:28:00") == 0
    for nonsense in ("soon", "-3", "1e9", "", "9" * 400):
        assert retry_after(nonsense) is None


def test_redirects_on_the_same_host_are_followed(of: Of, requests_seen: Seen) -> None:
    assert_near(of("here").observe(X[:1], UNITS), expected(rounded(X[:1])))
    assert [path for path, _, _ in requests_seen] == ["/here", "/scores"]


@pytest.mark.parametrize(
    ("path", "parameters", "message"),
    [
        ("scores", {"labels": CLASSES[:3]}, "expected 3 numbers, one a unit, got 4"),
        ("scores", {"scores": "probs"}, "nothing at 'probs' in"),
        ("scores", {"scores": "length(scores)"}, "expected a list of numbers, .* got 4"),
        ("scores", {"scores": "abs(scores)"}, r"'abs\(scores\)' does not fit the answer"),
        ("scores", {"answer": "top"}, "expected pairs of label and number"),
        ("scores", {"answer": "label"}, r"\[.*is none of the 4 labels"),
        ("label", {"scores": "[label, label, index, index]"}, "expected a number .* got '"),
        (
            "batch",
            {
                "template": {"signature": "serving", "instances": "$images"},
                "item": {"b64": ",$image"},
                "scores": "predictions[0].p",
            },
            "with an entry for each of 5 stimuli",
        ),
    ],
)
def test_answers_of_another_form(
    of: Of, path: str, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(OracleFailed, match=message):
        of(path, **parameters).observe(X, UNITS[:3])


def test_nobody_listens() -> None:
    with pytest.raises(OracleUnavailable, match=r"cannot reach it .*see whether it runs"):
        Http("http://127.0.0.1:9/x", (3, 6, 6), CLASSES).observe(X, UNITS)


def test_certificates(secure_api: tuple[str, Path], api: str) -> None:
    url, certificate = secure_api
    with pytest.raises(OracleUnavailable, match=r"not trusted .self-signed certificate.*ca_file"):
        Http(f"{url}/scores", (3, 6, 6), CLASSES).observe(X, UNITS)
    trusting = Http(f"{url}/scores", (3, 6, 6), CLASSES, ca_file=str(certificate))
    assert_near(trusting.observe(X, UNITS), expected(rounded(X)))
    trusting.close()
    by_number = url.replace("localhost", "127.0.0.1")
    other_name = Http(f"{by_number}/scores", (3, 6, 6), CLASSES, ca_file=str(certificate))
    with pytest.raises(OracleUnavailable, match=r"not trusted .*127"):
        other_name.observe(X, UNITS)
    with pytest.raises(OracleUnavailable, match="no secure connection"):
        Http(api.replace("http:", "https:"), (3, 6, 6), CLASSES).observe(X, UNITS)
    with pytest.raises(InvalidSpec, match="ca_file: cannot read certificates"):
        Http(url, (3, 6, 6), CLASSES, ca_file="/no/such/file").describe()


def test_missing_extras_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("httpx", "jmespath"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            with pytest.raises(MissingExtra, match=rf"{package}.*blackbox-am\[http\]"):
                Http("http://127.0.0.1:9/x", (3, 6, 6), CLASSES).describe()


def test_an_operator_writes_it_in_the_configuration(api: str, tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text(
        f'[oracles.api]\nkind = "http"\nurl = "{api}/top"\nstimulus_shape = [3, 6, 6]\n'
        'labels = ["cat", "dog", "owl", "bee"]\nheaders = { X-Team = "vision" }\n'
        'template = { image = "$image", detail = { top_k = 2 } }\nmissing = -1\n'
        'scores = "result.classes[].[name, score]"\nanswer = "top"\n'
    )
    oracle = load_config(tmp_path / "server.toml").catalogue.oracle("api")
    assert (oracle.observe(X, UNITS) == -1).sum() == 10
    oracle.close()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"url": "api.example.com"}, "url: expected an address"),
        ({"url": "file:///etc/passwd"}, "url: expected an address"),
        ({"url": "https://me:pass@api.example.com"}, "must have no secret"),
        ({"url": "https://api.example.com/?key=${KEY}"}, "must have no secret"),
        ({"labels": ()}, "labels: expected the names of the classes, or units"),
        ({"units": 3}, "labels: expected 3"),
        ({"timeout_seconds": 0.0}, "timeout_seconds"),
        ({"parallel": 0}, "parallel"),
        ({"answer": "best"}, "best"),
        ({"missing": math.inf}, "missing"),
        ({"stimulus_shape": (5, 6, 6)}, "image: a png file holds"),
        ({"image": "floats", "body": "raw"}, "body: 'raw' sends a file"),
        ({"template": {"x": 1}}, "template: expected '\\$image' for one"),
        ({"template": {"x": "$image", "y": "$images"}}, "and not both"),
        ({"template": {"x": "all: $images"}}, "template: expected"),
        ({"template": {"x": "$images"}, "item": {"b64": "image"}}, "item: expected"),
        ({"template": {"x": "data:$image"}, "image": "floats"}, "as a value of its own"),
        ({"template": {"x": "$image", "y": 1}, "body": "multipart"}, "a table of texts"),
        ({"template": {"x": "text"}, "body": "multipart"}, "a table of texts"),
    ],
)
def test_bad_parameters(parameters: dict[str, object], message: str) -> None:
    good = {"url": "http://127.0.0.1:9/x", "stimulus_shape": (3, 6, 6), "labels": ("a", "b")}
    with pytest.raises(InvalidSpec, match=message):
        plugins.oracles.build("http", {**good, **parameters})


def test_expressions_that_are_none() -> None:
    with pytest.raises(InvalidSpec, match=r"'a\.\[' is not JMESPath"):
        Http("http://127.0.0.1:9/x", (3, 6, 6), CLASSES, scores="a.[").describe()
