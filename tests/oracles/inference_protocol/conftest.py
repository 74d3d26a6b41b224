"""Oracles on the test server, over both protocols."""

from collections.abc import Iterator

import pytest

from blackbox_am.oracles.inference_protocol import InferenceProtocol
from tests.oracles.inference_protocol.answers import Of


@pytest.fixture(params=["grpc", "http"])
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def of(protocol: str, request: pytest.FixtureRequest) -> Iterator[Of]:
    """`of(model, **parameters)`: an oracle on the test server."""
    address = request.getfixturevalue(f"inference_over_{protocol}")
    opened = []

    def make(model: str, **more: object) -> InferenceProtocol:
        opened.append(InferenceProtocol(address, model, **{"protocol": protocol, **more}))
        return opened[-1]

    yield make
    for oracle in opened:
        oracle.close()
