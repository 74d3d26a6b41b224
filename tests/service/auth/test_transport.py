"""Encryption: who can connect, what is said to who cannot, and new files under a running server."""

import shutil
import threading

import pytest
import torch

from blackbox_am.client import Tls, connect
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, ServerUnavailable, Unauthenticated
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.service.auth.transport import Credentials, ServerTls, check_exposure
from tests.service.auth.conftest import Lab, begin


@pytest.fixture
def own(tmp_path):
    lab = Lab(tmp_path)
    yield lab
    lab.store.close()


def test_plain_and_tls_do_not_mix_and_say_so(lab, tmp_path):
    with pytest.raises(ServerUnavailable, match="expects TLS; set tls = true"):
        connect(lab.address, token=lab.tokens["ann"])
    with lab.serving(tls=ServerTls(), audit_log=None) as plain:
        with pytest.raises(ServerUnavailable, match="does not speak TLS; set tls = false"):
            connect(plain, token=lab.tokens["ann"], tls=lab.file("ca"))
        with connect(plain, token=lab.tokens["ann"]) as client:
            assert client.server_info()


def test_an_unknown_authority_and_another_name_are_named(lab):
    with pytest.raises(ServerUnavailable, match="certificate is not trusted"):
        connect(lab.address, token=lab.tokens["ann"], tls=True)
    other = Tls(lab.file("ca"), server_name="elsewhere.example")
    with pytest.raises(ServerUnavailable, match=r"another name than 'elsewhere\.example'"):
        connect(lab.address, token=lab.tokens["ann"], tls=other)


def test_mutual_tls(own):
    with own.serving(tls=own.tls(clients=True)) as address:
        with pytest.raises(ServerUnavailable, match="expects a certificate of its client"):
            own.connect("ann", address)
        mine = Tls(own.file("ca"), own.file("client"), own.file("client", "key"))
        with connect(address, token=own.tokens["ann"], tls=mine) as client:
            assert begin(client).progress().owner == "ann"


def test_replaced_files_are_used_without_a_restart(own):
    with own.serving() as address, own.connect("ann", address) as before:
        study, got = begin(before), threading.Event()
        watching = threading.Thread(target=lambda: [got.set() for _ in study.watch()])
        watching.start()
        shutil.copy(own.file("server"), own.folder / "old.pem")
        own.certificates.file("server").write_text("half written")
        own.connect("ann", address).close()  # the old ones stay
        shutil.copy(own.folder / "old.pem", own.file("server"))
        old_ca = own.certificates.file("ca").read_bytes()
        own.certificates.authority("ca")
        own.certificates.signed("server", "ca")
        with own.connect("ann", address) as after:
            assert after.study(study.id).progress().owner == "ann"
        (own.folder / "before.pem").write_bytes(old_ca)
        with pytest.raises(ServerUnavailable, match="not trusted"):
            connect(address, token=own.tokens["ann"], tls=own.folder / "before.pem")
        assert got.wait(5)
        study.cancel()  # over the connection from before
        watching.join(10)
        assert not watching.is_alive()


def test_files_that_do_not_fit_are_refused_at_the_start(own):
    mixed = ServerTls(own.file("server"), own.file("client", "key"))
    with pytest.raises(InvalidSpec, match=r"server\.pem and .*client\.key are no certificate"):
        Credentials(mixed)
    with pytest.raises(InvalidSpec, match="cannot read"):
        Credentials(ServerTls(own.file("no"), own.file("no", "key")))
    with pytest.raises(InvalidSpec, match="tls_key: expected a file"):
        ServerTls(own.file("server"))
    with pytest.raises(InvalidSpec, match="means nothing without"):
        ServerTls(client_ca=own.file("ca"))


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:1", "[::]:1", ":1", "[::0]:1", "lab.example:1", "192.168.0.7:1", "ipv4:0.0.0.0:1"],
)
def test_a_reachable_server_needs_tls_and_tokens(address):
    tls = ServerTls("c", "k")
    with pytest.raises(InvalidSpec, match=r"no encryption .* and no tokens"):
        check_exposure(address, ServerTls(), tokens=False)
    with pytest.raises(InvalidSpec, match="no encryption"):
        check_exposure(address, ServerTls(), tokens=True)
    with pytest.raises(InvalidSpec, match="no tokens"):
        check_exposure(address, tls, tokens=False)
    check_exposure(address, tls, tokens=True)
    check_exposure(address, ServerTls("c", "k", "ca"), tokens=False)


@pytest.mark.parametrize("address", ["localhost:1", "127.0.0.1:1", "[::1]:1", "unix:/run/x"])
def test_this_machine_alone_needs_nothing(address):
    check_exposure(address, ServerTls(), tokens=False)


def test_a_refused_server_does_not_listen(own, caplog):
    with (
        pytest.raises(InvalidSpec, match="other machines can reach"),
        own.serving(address="0.0.0.0:0", tls=ServerTls()),
    ):
        pass
    with own.serving(address="0.0.0.0:0", tls=ServerTls(), insecure=True) as address:
        assert address
    assert "other machines can reach" in caplog.text


def test_a_remote_oracle_shows_its_token(lab, tmp_path):
    token, wrong = tmp_path / "token", tmp_path / "wrong"
    token.write_text(lab.tokens["ann"] + "\n")
    wrong.write_text(lab.tokens["ann"][:-2])

    def oracle(file):
        headers = {"authorization": f"Bearer ${{file:{file}}}"}
        address = lab.address
        return Remote(address, oracle="sim", tls=True, ca_file=lab.file("ca"), headers=headers)

    found = oracle(token)
    rows = torch.zeros((2, *found.describe().stimulus_shape))
    assert found.observe(rows, [Unit.parse("units:0")]).shape == (2, 1)
    with pytest.raises(Unauthenticated) as caught:
        oracle(wrong).describe()
    assert lab.tokens["ann"][:-2] not in str(caught.value)
