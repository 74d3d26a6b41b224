"""A real server on a real port, shared by the tests of a module."""

import grpc
import pytest

from blackbox_am.catalogue import Catalogue
from blackbox_am.client import connect
from blackbox_am.service import Config, running
from blackbox_am.v1 import study_pb2
from blackbox_am.v1.catalog_service_pb2_grpc import CatalogServiceStub
from blackbox_am.v1.group_service_pb2_grpc import GroupServiceStub
from blackbox_am.v1.oracle_service_pb2_grpc import OracleServiceStub
from blackbox_am.v1.study_service_pb2_grpc import StudyServiceStub

TABLES = {
    "oracles": {
        "sim": {"kind": "simulated"},
        "slow": {"kind": "simulated", "latency_seconds": 0.02},
        "climbable": {"kind": "simulated", "gradients": True},
    },
    "generators": {
        "pixels": {"kind": "pixels", "shape": [3, 8, 8]},
        "small": {"kind": "pixels", "shape": [1, 4, 4]},
    },
}


class Raw:
    """The stubs themselves, for what the client would not send."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(
            address, options=[("grpc.max_send_message_length", -1)]
        )
        self.studies = StudyServiceStub(self.channel)
        self.groups = GroupServiceStub(self.channel)
        self.oracles = OracleServiceStub(self.channel)
        self.catalog = CatalogServiceStub(self.channel)


@pytest.fixture
def config():
    return Config(
        address="localhost:0",
        store=":memory:",
        device="cpu",
        retry_delays=(0.01, 0.02),
        catalogue=Catalogue.from_plain(TABLES),
    )


@pytest.fixture(scope="module")
def catalogue():
    """Of the shared server; a module may have its own."""
    return Catalogue.from_plain(TABLES)


@pytest.fixture(scope="module")
def address(catalogue):
    shared = Config(address="localhost:0", store=":memory:", device="cpu", catalogue=catalogue)
    with running(shared) as found:
        yield found


@pytest.fixture
def client(address):
    with connect(address) as found:
        yield found


@pytest.fixture
def raw(address):
    found = Raw(address)
    yield found
    found.channel.close()


@pytest.fixture
def spec():
    """A small study that the server evaluates, as a message to be changed."""
    return study_pb2.StudySpec(
        generator=study_pb2.GeneratorSpec(name="pixels"),
        oracle="sim",
        targets=[study_pb2.Objective(kind="mean", quantities=["units:0"])],
        budget=study_pb2.Budget(queries_per_target=50),
    )
