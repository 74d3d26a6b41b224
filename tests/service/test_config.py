"""A configuration says how the server is set up; a wrong one is told by key."""

import pytest

from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.service import Config, load_config


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "server.toml"
        path.write_text(text)
        return path

    return write


def test_an_empty_file_is_the_default(written):
    config, default = load_config(written("")), Config()
    assert (config.address, config.store, config.workers) == (
        default.address,
        default.store,
        default.workers,
    )
    assert config.catalogue.oracle_names() == default.catalogue.oracle_names()


def test_everything(written):
    config = load_config(
        written(
            """
            [server]
            address = "0.0.0.0:7000"
            store = "below/x.sqlite3"
            workers = 5
            device = "cpu"
            max_message_bytes = 1000000
            retry_delays = [1, 2.5]
            shipped = false

            [oracles.sim]
            kind = "simulated"
            units = 3

            [generators.p]
            kind = "pixels"
            """
        )
    )
    assert config.address == "0.0.0.0:7000"
    assert config.workers == 5
    assert config.retry_delays == (1.0, 2.5)
    assert config.max_message_bytes == 1_000_000
    assert config.catalogue.oracle_names() == ["sim"]
    assert config.catalogue.generator_names() == ["p"]
    assert config.catalogue.oracle("sim").describe().layers[0].units == 3


def test_shipped_models_stay_beside_ones_own(written):
    config = load_config(written('[oracles.sim]\nkind = "simulated"'))
    assert {"sim", "cifar_cnn"} <= set(config.catalogue.oracle_names())
    assert config.catalogue.generator_names() == Config().catalogue.generator_names()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[servr]", "did you mean 'server'"),
        ("[server]\nadress = 'x'", "did you mean 'address'"),
        ("[server]\nworkers = 0", "workers"),
        ("[server]\nworkers = 'two'", "workers"),
        ("[server]\nmax_message_bytes = 12", "max_message_bytes"),
        ("server = 3", "must be a table"),
        ("oracles = 3", "must be tables"),
        ("[oracles.x]\nunits = 3", "with a kind"),
        ("[oracles.x]\nkind = 'simulatd'", "did you mean 'simulated'"),
        ("this is not TOML", "not valid TOML"),
    ],
)
def test_wrong_ones_are_told(written, text, says):
    path = written(text)
    with pytest.raises(InvalidSpec, match=says) as found:
        load_config(path)
    assert str(path) in found.value.message


def test_no_file(tmp_path):
    with pytest.raises(NotFound, match="no configuration file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(InvalidSpec, match="cannot read"):
        load_config(tmp_path)


def test_no_workers():
    with pytest.raises(InvalidSpec, match="1 or more"):
        Config(workers=0)


def test_a_port_that_does_not_exist():
    with pytest.raises(InvalidSpec, match="from 0 to 65535, got 'localhost:99999'"):
        Config(address="localhost:99999")
