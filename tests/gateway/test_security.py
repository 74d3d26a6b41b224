"""Other sites, other hosts and callers without the token get nothing."""

import asyncio
import socket

import httpx
import pytest
from starlette.routing import Route

from blackbox_am.errors import InvalidInput
from blackbox_am.gateway import Settings, create_app
from tests.gateway.conftest import TOKEN, WRITES

SPEC = {"targets": ["units:0"], "generator": "pixels", "budget": {"queries_per_target": 50}}


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil", "[::2]", "10.0.0.1"]
)
def test_another_host_is_refused(http, host):
    """A name of another site that points to 127.0.0.1 (DNS rebinding)."""
    answer = http.get("/api/studies", headers={"host": host})
    assert answer.status_code == 403
    assert "does not answer for the host" in answer.json()["error"]["message"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1:9", "[::1]:80"])
def test_a_forwarded_port_is_served(http, host):
    assert http.get("/api/server", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},  # another program on this machine
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_site_is_refused(http, headers):
    for call in (http.get, http.post):
        assert call("/api/studies", headers=WRITES | headers).status_code == 403
    body = {"study_id": "foreign", "spec": SPEC}
    assert http.post("/api/studies", json=body, headers=WRITES | headers).status_code == 403
    assert http.get("/api/studies/foreign").status_code == 404


def test_the_own_page_and_links_are_served(http, gateway):
    own = {"origin": gateway.url, "sec-fetch-site": "same-origin"}
    assert http.get("/api/server", headers=own).status_code == 200
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert http.get("/", headers=link).status_code == 200
    assert http.post("/api/studies", headers=link | WRITES).status_code == 403


def test_headers_for_browsers(http):
    for path in ("/", "/api/server", "/nothing"):
        headers = http.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


def test_an_answer_to_a_bug_has_them_too(caplog):
    async def fails(request):
        raise RuntimeError("a secret of the gateway")

    async def run():
        app = create_app(Settings("127.0.0.1:1"))
        app.router.routes.insert(0, Route("/api/fails", fails))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.get("/api/fails")

    answer = asyncio.run(run())
    assert answer.status_code == 500
    assert answer.json()["error"]["reason"] == "SERVER_FAILED"
    assert "secret" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "a secret of the gateway" in caplog.text


@pytest.mark.parametrize(
    "authorization",
    ["", TOKEN, "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer ü"],
)
def test_wrong_tokens(http, study, authorization):
    headers = [(b"authorization", authorization.encode())]
    answer = http.post("/api/studies/ended:cancel", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/studies", {}, "spec"),
        ("/api/studies", {"spec": []}, "spec"),
        ("/api/studies", {"spec": {}}, "spec"),
        ("/api/studies", {"spec": SPEC | {"targets": ["::"]}}, None),
        ("/api/studies", {"spec": SPEC | {"oracel": "sim"}}, "spec"),
        ("/api/studies", {"spec": SPEC | {"budget": {"queries_per_target": 0}}}, None),
        ("/api/studies", {"spec": SPEC, "study_id": "Bad Id"}, "study_id"),
        ("/api/studies", {"spec": SPEC, "force": True}, "force"),
        ("/api/studies/ended:extend", {}, "queries_per_target"),
        ("/api/studies/ended:extend", {"queries_per_target": "9"}, "queries_per_target"),
        ("/api/studies/ended:extend", {"queries_per_target": True}, "queries_per_target"),
        ("/api/studies/ended:extend", {"queries_per_target": 1}, None),
        ("/api/studies/ended:pause", {"now": 1}, "now"),
    ],
)
def test_wrong_bodies(http, study, path, body, field):
    answer = http.post(path, json=body, headers=WRITES)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["reason"] in ("INVALID_INPUT", "INVALID_SPEC")
    assert field is None or error["field"].startswith(field)


def test_bodies_that_are_no_json(http, study):
    kind = {"content-type": "application/json"}
    for content in (b"{", b"[1]", b"[" * 100_000, b"\xff"):
        answer = http.post("/api/studies", content=content, headers=WRITES | kind)
        assert answer.status_code == 400
    form = {"content-type": "text/plain"}  # what a form of another site can send
    assert http.post("/api/studies", content=b"{}", headers=WRITES | form).status_code == 400
    large = http.post("/api/studies", content=b" " * (2**21 + 1), headers=WRITES | kind)
    assert large.status_code == 413


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.0.7", "example.com", socket.gethostname()]
)
def test_other_machines_only_where_it_is_said(host):
    with pytest.raises(InvalidInput, match="--insecure-host"):
        Settings("localhost:1", host)
    assert Settings("localhost:1", host, insecure_host=True).host == host


def test_a_short_token_is_refused():
    with pytest.raises(InvalidInput, match="16 characters"):
        Settings("localhost:1", token="short")
