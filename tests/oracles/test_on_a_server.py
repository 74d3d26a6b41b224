"""Oracles of several kinds, as an operator writes them into the configuration of a server."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from skops import io
from torch import nn

from blackbox_am import connect
from blackbox_am.core.types import StudyState
from blackbox_am.testing.server import ServerProcess

SHAPE = (3, 6, 6)
UNITS = {
    "net": "scores:1",
    "rows": "predict_proba:2",
    "program": "scores:0",
    "api": "scores:3",
    "code": "rows:1",
    "inference": "logits:3",
    "inference_http": "conv.maps:3@1,2",
}


@pytest.fixture
def configuration(
    tmp_path: Path,
    export: Callable[..., bytes],
    json_program: list[str],
    api: str,
    inference_over_grpc: str,
    inference_over_http: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(108, 4))
    (tmp_path / "net.onnx").write_bytes(export(net, *SHAPE))
    rows = np.random.default_rng(0).random((60, 108))
    io.dump(LogisticRegression().fit(rows, np.arange(60) % 3), tmp_path / "rows.skops")
    (tmp_path / "operators_code.py").write_text(
        "def rows(stimuli):\n    return {'rows': stimuli.mean((1, 3))}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    path = tmp_path / "server.toml"
    path.write_text(
        "[server]\nshipped = false\n"
        f'[oracles.net]\nkind = "onnx"\nmodel = "{tmp_path}/net.onnx"\n'
        f'[oracles.rows]\nkind = "sklearn"\nestimator = "{tmp_path}/rows.skops"\n'
        "stimulus_shape = [3, 6, 6]\n"
        f'[oracles.program]\nkind = "subprocess"\ncommand = {json_program}\nunits = 3\n'
        "stimulus_shape = [3, 6, 6]\n"
        f'[oracles.api]\nkind = "http"\nurl = "{api}/scores"\nunits = 4\n'
        "stimulus_shape = [3, 6, 6]\nparallel = 4\n"
        '[oracles.code]\nkind = "function"\nfunction = "operators_code:rows"\n'
        "stimulus_shape = [3, 6, 6]\n"
        f'[oracles.inference]\nkind = "inference_protocol"\ntarget = "{inference_over_grpc}"\n'
        'model = "net"\n'
        f'[oracles.inference_http]\nkind = "inference_protocol"\nprotocol = "http"\n'
        f'target = "{inference_over_http}"\nmodel = "pixels"\nparallel = 2\n'
        '[generators.pixels]\nkind = "pixels"\nshape = [3, 6, 6]\n'
    )
    return path


@pytest.mark.slow
def test_each_is_searched(configuration: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, configuration) as server, connect(server.address) as client:
        assert {listing.name for listing in client.oracles()} == set(UNITS)
        stimuli = np.random.default_rng(1).random((30, *SHAPE)).astype(np.float32)
        for oracle, unit in UNITS.items():
            study = client.create(
                oracle=oracle,
                generator="pixels",
                targets=[unit],
                optimizer="cma",
                queries_per_target=120,
                seed=1,
            )
            progress = study.wait(timeout=60)
            assert progress.state is StudyState.SUCCEEDED, progress.message
            (best,) = study.best(stimuli=True, dtype="float32")
            random = client.observe(oracle, stimuli, [unit])[:, 0]
            assert best.score > random.max(), oracle
            again = client.observe(oracle, np.array(best.stimulus)[None], [unit])
            assert again[0, 0] == pytest.approx(best.score, rel=1e-4), oracle
