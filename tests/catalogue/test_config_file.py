"""Environment variables, relative paths and modules of a configuration file."""

import sys

import pytest

from blackbox_am.catalogue.config_file import read_tables
from blackbox_am.errors import InvalidSpec
from blackbox_am.service import load_config


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / "below"
    folder.mkdir()

    def write(text, encoding="utf-8"):
        path = folder / "server.toml"
        path.write_text(text, encoding)
        return path

    return write


def test_a_byte_order_mark_is_passed_over(written):
    assert load_config(written("[server]\nworkers = 3", "utf-8-sig")).workers == 3


def test_variables_are_replaced_by_their_values(written, monkeypatch):
    monkeypatch.setenv("WHERE", "db.example")
    path = written('[server]\nstore = "postgresql://${WHERE}/x"\naddress = "$${WHERE}"')
    server = read_tables(path)["server"]
    assert server == {"store": "postgresql://db.example/x", "address": "${WHERE}"}


def test_a_variable_that_is_not_set_is_named_with_its_key(written, monkeypatch):
    monkeypatch.delenv("NOT_THERE", raising=False)
    with pytest.raises(InvalidSpec, match=r"server.store: .* NOT_THERE is not set"):
        load_config(written('[server]\nstore = "${NOT_THERE}"'))


def test_messages_show_the_reference_and_not_the_value(written, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    path = written('[oracles.x]\nkind = "simulated"\nunits = "${SECRET}"')
    with pytest.raises(InvalidSpec) as caught:
        load_config(path).catalogue.oracle("x")
    assert "hunter2" not in str(caught.value)
    assert "${SECRET}" in str(caught.value)


def test_headers_are_left_to_the_oracle(written):
    path = written('[oracles.x]\nkind = "http"\nurl = "http://x"\nheaders = { A = "${NOT_THERE}" }')
    assert read_tables(path)["oracles"]["x"]["headers"] == {"A": "${NOT_THERE}"}


def test_paths_belong_to_the_folder_of_the_file(written):
    path = written(
        '[server]\nstore = "s.sqlite3"\naudit_log = "/var/a"\n'
        '[oracles.x]\nkind = "onnx"\nmodel = "net.onnx"\n'
        '[oracles.y]\nkind = "torch_module"\nmodel = "transformers:far/away"\n'
        '[[oracles.y.wrap]]\nkind = "cache"\npath = ":memory:"\n'
        '[[oracles.x.wrap]]\nkind = "cache"\npath = "a.sqlite3"'
    )
    folder = path.parent
    (folder / "net.onnx").touch()
    tables = read_tables(path)
    assert tables["server"] == {"store": str(folder / "s.sqlite3"), "audit_log": "/var/a"}
    x, y = tables["oracles"]["x"], tables["oracles"]["y"]
    assert x["model"] == str(folder / "net.onnx")
    assert x["wrap"][0]["path"] == str(folder / "a.sqlite3")
    assert y["model"] == "transformers:far/away"  # not there: the name of a model
    assert y["wrap"][0]["path"] == ":memory:"


def test_a_module_beside_the_file_can_be_imported(written):
    path = written(
        '[oracles.x]\nkind = "function"\nfunction = "module_beside_config:mean"\n'
        "stimulus_shape = [3, 4, 4]"
    )
    (path.parent / "module_beside_config.py").write_text(
        "def mean(stimuli):\n    return stimuli.mean((1, 2, 3))[:, None]\n"
    )
    info = load_config(path).catalogue.oracle("x").describe()
    assert info.stimulus_shape == (3, 4, 4)
