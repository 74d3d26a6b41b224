"""A real server with TLS and tokens, shared by the tests of a module."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

from blackbox_am.catalogue import Catalogue
from blackbox_am.client import connect
from blackbox_am.service import Config, running
from blackbox_am.service.auth.principals import Role
from blackbox_am.service.auth.quotas import Quota
from blackbox_am.service.auth.tokens import issue
from blackbox_am.service.auth.transport import ServerTls
from blackbox_am.stores import SQLStore
from blackbox_am.testing.certificates import Certificates

TABLES = {
    "oracles": {"sim": {"kind": "simulated"}},
    "generators": {"pixels": {"kind": "pixels", "shape": [3, 8, 8]}},
}
ROLES = {
    "ann": Role.RUNNER,
    "bob": Role.RUNNER,
    "eve": Role.READER,
    "small": Role.RUNNER,
    "boss": Role.OPERATOR,
}
SMALL = Quota(studies=2, queries=100, rows_in_flight=10, stored_bytes=100)


class Lab:
    """A store with tokens, and the files and settings of its servers.

    Attributes:
        folder: has the certificates `ca`, `server`, `client`, and the audit log.
        store: the store.
        tokens: a token of each principal.
        config: of a server.
        address: of the running server; empty before.
    """

    def __init__(self, folder):
        self.folder = folder
        self.certificates = Certificates(folder)
        self.certificates.authority("ca")
        for name in ("server", "client"):
            self.certificates.signed(name, "ca")
        url = str(folder / "studies.sqlite3")
        self.store = SQLStore(url)
        self.tokens = {
            name: issue(self.store.tokens, name, role)[1] for name, role in ROLES.items()
        }
        self.address = ""
        self.config = Config(
            address="localhost:0",
            store=url,
            device="cpu",
            catalogue=Catalogue.from_plain(TABLES),
            tls=self.tls(),
            audit_log=folder / "audit.jsonl",
            quotas={"small": SMALL},
        )

    def file(self, name, kind="pem"):
        return str(self.certificates.file(name, kind))

    def tls(self, clients=False):
        ca = self.file("ca") if clients else ""
        return ServerTls(self.file("server"), self.file("server", "key"), ca)

    def connect(self, name, address=""):
        """A client with the token of a principal."""
        token = self.tokens.get(name, name)
        return connect(address or self.address, token=token, tls=self.file("ca"))

    @contextmanager
    def serving(self, **changes):
        with running(replace(self.config, **changes)) as address:
            yield address


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    found = Lab(tmp_path_factory.mktemp("lab"))
    with found.serving() as found.address:
        yield found
    found.store.close()


@pytest.fixture
def ann(lab):
    with lab.connect("ann") as client:
        yield client


@pytest.fixture
def bob(lab):
    with lab.connect("bob") as client:
        yield client


def begin(client, **more):
    """A small study that clients evaluate."""
    given = {"targets": ["u:0"], "generator": "pixels", "queries_per_target": 200}
    return client.create(**(given | more))
