"""Who gets in: every method of every service asks for a token, and no secret is kept or shown."""

import hashlib
import logging
import threading
import time
from pathlib import Path

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from blackbox_am.client import connect
from blackbox_am.errors import Forbidden, InvalidInput, Unauthenticated
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.service.auth.permissions import CHANGES, PACKAGE, ROLES, needed
from blackbox_am.service.auth.principals import Role
from blackbox_am.service.auth.streams import LOOK_SECONDS
from blackbox_am.service.auth.tokens import REMEMBER_SECONDS, Authenticator, issue
from blackbox_am.service.server import SERVICES
from blackbox_am.stores import SQLStore
from blackbox_am.v1 import (
    catalog_service_pb2,
    group_service_pb2,
    oracle_service_pb2,
    study_service_pb2,
)
from tests.service.auth.conftest import begin

FILES = (catalog_service_pb2, group_service_pb2, oracle_service_pb2, study_service_pb2)
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


@pytest.fixture(scope="module")
def channel(lab):
    credentials = grpc.ssl_channel_credentials(Path(lab.file("ca")).read_bytes())
    with grpc.secure_channel(lab.address, credentials) as found:
        yield found


def call(channel, path, method, metadata=()):
    """The answer to an empty request, or the error."""
    sends, answers = method.client_streaming, method.server_streaming
    kind = f"{'stream' if sends else 'unary'}_{'stream' if answers else 'unary'}"
    request = GetMessageClass(method.input_type)()
    make = getattr(channel, kind)(
        path,
        request_serializer=type(request).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    try:
        answer = make(iter([request]) if sends else request, metadata=metadata, timeout=20)
        return list(answer) if answers else [answer]
    except grpc.RpcError as error:
        return from_rpc_error(error)


def test_every_method_has_a_role_and_no_method_is_open(channel):
    assert set(ROLES) == set(METHODS)
    assert {path.split("/")[1] for path in METHODS} == set(SERVICES)
    for path, method in METHODS.items():
        assert type(call(channel, path, method)) is Unauthenticated, path
    assert needed(f"{PACKAGE}StudyService/AddedLater") is Role.OPERATOR


def test_a_reader_changes_nothing(channel, lab):
    metadata = (("authorization", f"Bearer {lab.tokens['eve']}"),)
    for path, method in METHODS.items():
        answer = call(channel, path, method, metadata)
        assert isinstance(answer, Forbidden) is (ROLES[path] > Role.READER), path
    assert all(ROLES[path] >= Role.RUNNER for path in CHANGES)


def test_health_is_open_and_reflection_is_not(channel, lab):
    health = health_pb2_grpc.HealthStub(channel)
    assert health.Check(health_pb2.HealthCheckRequest()).status == 1
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with pytest.raises(grpc.RpcError) as caught:
        list(reflection.ServerReflectionInfo(iter([request])))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    metadata = (("authorization", f"Bearer {lab.tokens['eve']}"),)
    (answer,) = reflection.ServerReflectionInfo(iter([request]), metadata=metadata)
    assert len(answer.list_services_response.service) == len(SERVICES) + 2


@pytest.mark.parametrize("change", ["none", "secret", "id", "other", "long"])
def test_a_wrong_token_is_refused_and_not_repeated(lab, change):
    token = lab.tokens["ann"]
    wrong = {
        "none": None,
        "secret": token[:-1] + ("A" if token[-1] != "A" else "B"),
        "id": "bam_00000000_" + token.split("_", 2)[2],
        "other": "something-else",
        "long": token + "x" * 500,
    }[change]
    with pytest.raises(Unauthenticated) as caught:
        connect(lab.address, token=wrong, tls=lab.file("ca"))
    assert wrong is None or wrong not in str(caught.value)


def test_an_expired_token_says_so(lab):
    _, token = issue(lab.store.tokens, "ann", Role.RUNNER, seconds=0.2)
    time.sleep(0.3)
    with pytest.raises(Unauthenticated, match="has expired"):
        lab.connect(token)


def test_a_revoked_token_ends_its_streams(lab):
    token_id, token = issue(lab.store.tokens, "ann", Role.RUNNER)
    _, short = issue(lab.store.tokens, "ann", Role.RUNNER, seconds=4)
    with (
        lab.connect(token) as client,
        lab.connect("ann") as other,
        lab.connect(short) as third,
    ):
        study = begin(client)
        ended, seen = [], threading.Event()

        def watch(by):
            try:
                for _ in by.study(study.id).watch():
                    seen.set()
            except Unauthenticated as error:
                ended.append(error)

        threads = [threading.Thread(target=watch, args=(one,)) for one in (client, other, third)]
        for thread in threads:
            thread.start()
        assert seen.wait(10)
        assert lab.store.tokens.revoke(token_id, time.time()) == [token_id]
        assert REMEMBER_SECONDS + LOOK_SECONDS < 5
        threads[0].join(60)
        assert not threads[0].is_alive()
        assert "was revoked" in str(ended[0])
        assert threads[1].is_alive()  # the other token of the same caller is still valid
        with pytest.raises(Unauthenticated, match="was revoked"):
            study.progress()
        threads[2].join(60)
        assert "has expired" in str(ended[1])
        other.study(study.id).cancel()
        threads[1].join(10)
        assert len(ended) == 2


def test_no_secret_is_kept_or_shown(lab, ann, caplog):
    caplog.set_level(logging.DEBUG)
    begin(ann)
    with pytest.raises(Unauthenticated):
        lab.connect(lab.tokens["ann"][:-1] + "!")
    secrets = [token.split("_", 2)[2] for token in lab.tokens.values()]
    places = [caplog.text, *(repr(one) for one in lab.store.tokens.known())]
    files = lab.folder.glob("*sqlite3*")
    places += [file.read_bytes().decode("latin-1") for file in files]
    places.append((lab.folder / "audit.jsonl").read_text())
    for secret in secrets:
        assert not any(secret in place for place in places)
    (stored,) = [one for one in lab.store.tokens.known() if one.principal == "bob"]
    assert stored.digest == hashlib.sha256(lab.tokens["bob"].encode()).hexdigest()


def test_tokens_are_random_and_long(closes):
    store = closes(SQLStore(":memory:"))
    found = [issue(store.tokens, "ann", Role.READER)[1] for _ in range(50)]
    assert len({token.split("_", 2)[2] for token in found}) == 50
    assert all(len(token.split("_", 2)[2]) == 43 for token in found)  # 32 bytes in base64
    for name, seconds in (("Ann", None), ("", None), ("ann", -1), ("ann", float("nan"))):
        with pytest.raises(InvalidInput):
            issue(store.tokens, name, Role.READER, seconds)


def test_a_store_without_tokens_is_open_until_the_first_and_never_again(closes):
    store, now = closes(SQLStore(":memory:")), [0.0]
    found = Authenticator(store.tokens, clock=lambda: now[0])
    assert found.principal(()) is None
    token = issue(store.tokens, "ann", Role.READER)[1]
    now[0] += 1.5
    with pytest.raises(Unauthenticated, match="needs a token"):
        found.principal(())
    metadata = (("authorization", f"bearer {token}"),)
    assert found.principal(metadata).name == "ann"
    store.tokens.revoke("ann", time.time())
    now[0] += 1.5
    for shown in (metadata, (), metadata * 2, (("authorization", token),)):
        with pytest.raises(Unauthenticated):
            found.principal(shown)
    with pytest.raises(Unauthenticated):
        Authenticator(store.tokens).principal(())
