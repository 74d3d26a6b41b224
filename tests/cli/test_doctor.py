"""`blackbox-am doctor`: each fault is found, with what to do, and nothing is changed."""

import re
import socket
from contextlib import closing
from importlib.metadata import metadata

import pytest

from blackbox_am.errors import InvalidSpec
from blackbox_am.service.doctor import days_left
from blackbox_am.stores import SQLStore
from blackbox_am.testing.certificates import Certificates
from tests.stores.fixtures.loading import old_store
from tests.stores.fixtures.write_store import write


@pytest.fixture
def findings(cli, tmp_path):
    """A function that returns the findings by what they are about, and the exit code."""

    def call(text="", *options, store="new.sqlite3"):
        config = tmp_path / "models.toml"
        config.write_text("[server]\nshipped = false\naddress = 'localhost:0'\n" + text)
        command = ("doctor", "--config", config, "--store", tmp_path / store, *options)
        done = cli(*command)
        lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
        found = {rest.partition(":")[0]: (level, rest) for level, rest in lines}
        return found, done.exit_code

    return call


def test_every_extra_of_the_package_is_named(findings):
    of_users = set(metadata("blackbox-am").get_all("Provides-Extra") or []) - {"dev"}
    found, _ = findings()
    named = set(re.findall(r"\w+", found["extras"][1]))
    assert of_users <= named


def test_a_sound_machine_has_no_faults(findings, tmp_path, from_json):
    found, code = findings()
    assert code == 0
    assert {level for level, _ in found.values()} <= {"ok", "warning"}
    assert {"python", "extras", "device", "memory", "store", "disk", "address"} <= found.keys()
    assert "does not exist yet" in found["store"][1]
    assert not (tmp_path / "new.sqlite3").exists()
    listed = from_json("doctor", "--store", tmp_path / "new.sqlite3", "--no-models")
    assert {"about": "exposure", "level": "ok", "what": "not encrypted, no tokens"} in listed


def test_a_store_tells_its_studies_or_what_to_do(findings, tmp_path):
    with closing(SQLStore(str(tmp_path / "s.sqlite3"))) as store:
        write(store)
    found, code = findings(store="s.sqlite3")
    assert "2 studies, 1 running, 1 succeeded" in found["store"][1]
    assert code == 0
    old_store(4, tmp_path / "old.sqlite3")
    found, code = findings(store="old.sqlite3")
    assert found["store"][0] == "fault"
    assert "blackbox-am store migrate" in found["store"][1]
    assert code == 1


def test_a_taken_address_is_a_fault(findings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        found, code = findings("", "--address", address)
    assert code == 1
    assert found["address"][0] == "fault"
    assert "another program listens there" in found["address"][1]


def test_an_open_server_is_a_fault_unless_it_is_wanted(findings):
    found, code = findings("", "--address", "0.0.0.0:0")
    assert (found["exposure"][0], code) == ("fault", 1)
    found, code = findings("insecure = true\n", "--address", "0.0.0.0:0")
    assert (found["exposure"][0], code) == ("warning", 0)


def test_each_model_of_the_file_is_loaded(findings):
    models = (
        "[oracles.good]\nkind = 'simulated'\n"
        "[oracles.bad]\nkind = 'onnx'\nmodel = 'no-such-file.onnx'\n"
        "[generators.dots]\nkind = 'pixels'\nshape = [1, 4, 4]\n"
    )
    found, code = findings(models)
    assert code == 1
    assert found["oracles.good"][0] == found["generators.dots"][0] == "ok"
    assert "16 latent dimensions" in found["generators.dots"][1]
    assert found["oracles.bad"][0] == "fault"
    assert "no-such-file.onnx" in found["oracles.bad"][1]
    found, code = findings(models, "--no-models")
    assert code == 0
    assert "oracles.bad" not in found


@pytest.fixture
def certificates(tmp_path):
    made = Certificates(tmp_path)
    made.authority("ca")
    made.signed("server", "ca", days=90)
    return made


def tls(made, name, key=None):
    files = made.file(name), made.file(key or name, "key")
    return f"tls_certificate = '{files[0]}'\ntls_key = '{files[1]}'\n"


def test_certificates_tell_how_long_they_last(findings, certificates):
    found, _ = findings(tls(certificates, "server"))
    assert found["certificate"][0] == "ok"
    assert "expires in 90 days" in found["certificate"][1]
    certificates.signed("soon", "ca", days=3)
    found, code = findings(tls(certificates, "soon"))
    assert (found["certificate"][0], code) == ("warning", 0)
    certificates.signed("old", "ca", days=-1)
    found, code = findings(tls(certificates, "old"))
    assert (found["certificate"][0], code) == ("fault", 1)
    assert "expired" in found["certificate"][1]
    found, _ = findings(tls(certificates, "server", key="ca"))
    assert found["certificate"][0] == "fault"


def test_the_days_of_a_certificate_are_those_of_the_clock(certificates):
    files = str(certificates.file("server")), str(certificates.file("server", "key"))
    assert days_left(*files) == pytest.approx(90, abs=0.1)
    with pytest.raises(InvalidSpec, match="cannot be used"):
        days_left(files[0], str(certificates.folder / "missing.key"))
