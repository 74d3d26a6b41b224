"""`openapi.json` describes every route, and real answers match it."""

import re

import pytest
from starlette.routing import Route

from blackbox_am.gateway.app import API
from tests.gateway.conftest import WRITES
from tests.gateway.reading import Reader, until
from tests.gateway.schemas import OPENAPI, check, message_schema

EXAMPLES = {
    "/api/openapi.json": "",
    "/api/server": "",
    "/api/studies": "?state=succeeded,running&label=kind%3Dtest&page_size=5",
    "/api/studies/{study}": "",
    "/api/studies/{study}/curves": "?points=5&targets=1,0",
    "/api/studies/{study}/events-log": "?generations=1",
    "/api/studies/{study}/targets/{target}/best.png": "?size=16&generation=3",
    "/api/studies/{study}/targets/{target}/natural.png": "",
    "/api/studies/{study}/targets/{target}/input.png": "",
    "/api/studies/{study}/targets/{target}/change.png": "",
    "/api/studies/{study}/targets/{target}/best.json": "",
    "/api/oracles": "",
    "/api/oracles/{oracle}": "",
    "/api/oracles/{oracle}/units": "?page_size=3",
    "/api/oracles/{oracle}/natural": "?unit=units:3",
    "/api/oracles/{oracle}/natural/{rank}.png": "?unit=units:3",
    "/api/generators": "",
    "/api/groups": "",
    "/api/groups/{group}": "",
}
NAMES = {"study": "natural", "target": "1", "oracle": "sim", "rank": "2", "group": "pair"}


@pytest.fixture(scope="module")
def full(study, address):
    """A study with natural images, and a group."""
    import numpy as np

    from blackbox_am.client import connect
    from blackbox_am.core.spec import GeneratorSpec

    with connect(address) as client:
        pictures = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)
        arguments = {
            "targets": ["units:0", "units:1"],
            "generator": "pixels",
            "oracle": "sim",
            "queries_per_target": 60,
        }
        client.create(**arguments, study_id="natural", baseline=pictures, labels={"kind": "test"})
        near = GeneratorSpec(
            "perturbation", {"squash": False}, {"inputs": client.write_array(pictures[:2])}
        )
        client.create(**arguments | {"generator": near}, study_id="around").wait()
        client.create_group({"a": arguments, "b": arguments}, group_id="pair").wait()
        client.study("natural").wait()


def test_every_route_is_described():
    routes = {
        (route.path, method.lower())
        for route in API
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    described = {(path, method) for path, item in OPENAPI["paths"].items() for method in item}
    assert routes == described
    gets = {path for path, method in routes if method == "get"} - {"/api/events"}
    assert gets == set(EXAMPLES)


def test_every_part_of_a_path_is_a_parameter():
    for path, item in OPENAPI["paths"].items():
        for operation in item.values():
            inside = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert inside == set(re.findall(r"{(\w+)}", path)), path


@pytest.mark.parametrize(("path", "query"), EXAMPLES.items(), ids=EXAMPLES)
def test_answers_match(http, full, path, query):
    names = NAMES | ({"study": "around"} if path.endswith(("input.png", "change.png")) else {})
    answer = http.get(re.sub(r"{(\w+)}", lambda found: names[found[1]], path) + query)
    assert answer.status_code == 200, answer.text
    (content,) = OPENAPI["paths"][path]["get"]["responses"]["200"]["content"].items()
    assert answer.headers["content-type"] == content[0]
    if "schema" in content[1]:
        check(answer.json(), content[1]["schema"])


def test_answers_are_not_empty(http, full):
    assert http.get("/api/studies/natural").json()["targets"][0]["natural"]["images"] == 6
    # A list of groups is used for half a second, also for a new study.
    until(lambda: http.get("/api/studies/pair-a").json()["group"] == "pair")
    assert len(http.get("/api/groups/pair").json()["members"]) == 2


def test_errors_match(http, full):
    for path in ("/api/studies/nowhere", "/api/nothing", "/api/studies?page_size=x"):
        check(http.get(path).json(), {"$ref": "#/components/schemas/Error"})


def test_changes_match(http, full):
    spec = {"targets": ["units:2 - 0.5*units:3"], "generator": "pixels", "oracle": "slow"}
    spec |= {"budget": {"queries_per_target": 5000}, "optimizer": "random", "labels": {"a": "b"}}
    made = http.post("/api/studies", json={"study_id": "made", "spec": spec}, headers=WRITES)
    assert made.status_code == 201
    check(made.json(), {"$ref": "#/components/schemas/Study"})
    assert made.headers["location"] == "/api/studies/made"
    again = http.post(
        "/api/studies",
        json={"study_id": "made", "spec": made.json()["spec"]},
        headers=WRITES,
    )
    assert again.status_code == 201, again.text
    for verb, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        answer = http.post(f"/api/studies/made:{verb}", headers=WRITES)
        assert answer.json()["state"] in (state, "pending")
        check(answer.json(), {"$ref": "#/components/schemas/Study"})


def test_messages_of_a_stream_match(gateway, full):
    with Reader(gateway.url, "natural,pair-a,nowhere,*list", "natural=0;pair-a=0") as reader:
        reader.until(lambda r: r.of("listing") and len(r.of("study")) >= 2 and r.of("deleted"))
    kinds = {event.kind for event in reader.events}
    assert kinds == {"server", "study", "generation", "state", "note", "listing", "deleted"}
    for event in reader.events:
        check(event.data, message_schema(event.kind), event.kind)
