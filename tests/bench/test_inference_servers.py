import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from blackbox_am.bench.cli import app
from blackbox_am.bench.inference_servers import measure
from blackbox_am.errors import InvalidInput, Unsupported
from blackbox_am.testing.inference_servers import environments


def test_help_says_what_it_does() -> None:
    said = CliRunner().invoke(app, ["inference-servers", "--help"], env={"COLUMNS": "200"}).output
    assert "installs each server into an environment of its own" in " ".join(said.split())
    assert environments.FOLDER_VARIABLE in said


def test_servers_that_are_none() -> None:
    answer = CliRunner().invoke(app, ["inference-servers", "--server", "tritons"])
    assert isinstance(answer.exception, InvalidInput)
    assert "no 'tritons'; did you mean 'triton'" in str(answer.exception)


@pytest.mark.slow
def test_what_pip_cannot_install_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setitem(environments.PACKAGES, "kserve", "kserve==0.0.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(Unsupported, match=r"cannot install kserve==0\.0\.0: ERROR"):
        environments.python_of("kserve")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("server", list(environments.PACKAGES))
def test_ours_next_to_theirs(server: str, tmp_path: Path) -> None:
    try:
        environments.python_of(server)
    except Unsupported as error:
        pytest.skip(str(error))
    lines = measure([server], ["grpc", "http"], 8, 3, 5, lambda text: None)
    assert [line.name.split(",")[0] for line in lines] == [
        f"{server} over grpc",
        f"{server} over http",
    ]
    assert all(0.1 < line.ratio < 10 for line in lines)
    out = tmp_path / "lines.json"
    arguments = ["--server", server, "--protocol", "grpc", "--repeats", "1", "--requests", "2"]
    answer = CliRunner().invoke(app, ["inference-servers", *arguments, "--json", str(out)])
    assert answer.exit_code == 0
    (line,) = json.loads(out.read_text())
    assert line["unit"] == "rows/s"
