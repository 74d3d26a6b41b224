"""`init` writes a configuration that `config check` accepts; the reference knows every key."""

import json

import pytest
import torch

from blackbox_am import plugins


@pytest.fixture
def exported(tmp_path):
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten())
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(model.eval(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=(batch,))
    torch.export.save(program, tmp_path / "net.pt2")
    return tmp_path / "net.pt2"


def test_init_writes_a_file_that_check_accepts(cli, exported, tmp_path):
    out = tmp_path / "models.toml"
    made = cli("init", str(exported), "--out", str(out))
    assert made.exit_code == 0, made.output
    assert f"blackbox-am config check {out}" in made.stdout
    assert 'model = "exported:net.pt2"' in out.read_text()
    assert "(3, 8, 8)" in out.read_text()
    checked = cli("config", "check", str(out))
    assert checked.exit_code == 0, checked.output
    assert "[oracles.net] stimuli (3, 8, 8)" in checked.stdout
    assert cli("init", str(exported), "--out", str(out)).exit_code == 2  # it exists


def test_init_for_an_api_has_a_cache_and_no_secret(cli, tmp_path):
    out = tmp_path / "api.toml"
    url = "https://api.example.com/v1/classify"
    assert cli("init", url, "-o", str(out), "--shape", "3,8,8").exit_code == 0
    assert "stimulus_shape = [3, 8, 8]" in out.read_text()
    checked = cli("config", "check", "--no-build", str(out))
    assert checked.exit_code == 0, checked.output
    assert "2 entries" in checked.stdout


def test_init_for_a_module_says_which_lines_to_change(cli, tmp_path):
    out = tmp_path / "module.toml"
    made = cli("init", "torch.nn:Identity", "-o", str(out))
    assert made.exit_code == 0, made.output
    assert "change the lines" in made.stdout
    assert out.read_text().count("# change:") == 2


@pytest.mark.parametrize(
    ("model", "shape", "says"),
    [
        ("no-such-file.onnx", "", "no such file"),
        ("https://x.example/y", "3,x,8", "--shape"),
        (__file__, "", "got '.py'"),
    ],
)
def test_init_says_what_was_expected(cli, tmp_path, model, shape, says):
    out = tmp_path / "x.toml"
    result = cli("init", model, "--out", str(out), "--shape", shape)
    assert result.exit_code == 2
    assert says in result.stderr
    assert not out.exists()


def test_check_names_each_wrong_entry(cli, tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(
        '[oracles.a]\nkind = "simulated"\nunits = "many"\n[oracles.b]\nkind = "simulated"\n'
        '[generators.c]\nkind = "pixels"\nshap = [3, 8, 8]'
    )
    result = cli("config", "check", str(path))
    assert result.exit_code == 2
    assert "[oracles.a]" in result.stderr
    assert "did you mean 'shape'" in result.stderr
    assert "[oracles.b] stimuli" in result.stdout


def test_the_reference_has_every_kind_and_key(cli):
    text = cli("config", "reference").stdout
    for registry in (plugins.oracles, plugins.wrappers, plugins.generators):
        for name in registry.names():
            assert f'### kind = "{name}"' in text
    one = cli("config", "reference", "cache").stdout
    assert "`path`: text. Required. the SQLite file" in one
    assert "inner" not in one.split("`path`")[1].split("`")[0]
    unknown = cli("config", "reference", "cach")
    assert unknown.exit_code == 3
    assert "did you mean 'cache'" in unknown.stderr


def test_the_schema_has_every_kind(cli):
    schema = json.loads(cli("config", "schema").stdout)
    kinds = schema["properties"]["oracles"]["additionalProperties"]["oneOf"]
    assert {one["title"] for one in kinds if "title" in one} == set(plugins.oracles.names())
    onnx = next(one for one in kinds if one.get("title") == "onnx")
    assert onnx["required"] == ["kind", "model"]
    assert "wrap" in onnx["properties"]
