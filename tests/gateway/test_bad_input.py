"""Wrong requests get an error that names the parameter, with the status that fits."""

import pytest

from blackbox_am.core.spec import SpaceSpec

ENDED = "/api/studies/ended"


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/api/studies/nowhere", 404, "NOT_FOUND"),
        ("/api/studies/nowhere/curves", 404, "NOT_FOUND"),
        ("/api/studies/nowhere/events-log", 404, "NOT_FOUND"),
        ("/api/studies/nowhere/targets/0/best.png", 404, "NOT_FOUND"),
        ("/api/studies/No_Id", 400, "INVALID_INPUT"),
        ("/api/studies/a%2Fb", 404, "NOT_FOUND"),
        ("/api/studies?page_token=zzz", 400, "INVALID_INPUT"),
        ("/api/studies?page_size=0", 400, "INVALID_INPUT"),
        ("/api/studies?page_size=1001", 400, "INVALID_INPUT"),
        ("/api/studies?page_size=1e3", 400, "INVALID_INPUT"),
        ("/api/studies?page_size=%D9%A3", 400, "INVALID_INPUT"),  # a digit, and not of ASCII
        ("/api/studies?state=runing", 400, "INVALID_INPUT"),
        ("/api/studies?label=kind", 400, "INVALID_INPUT"),
        (f"{ENDED}/curves?points=1", 400, "INVALID_INPUT"),
        (f"{ENDED}/curves?points=10001", 400, "INVALID_INPUT"),
        (f"{ENDED}/curves?targets=2", 400, "INVALID_INPUT"),
        (f"{ENDED}/curves?targets=-1", 400, "INVALID_INPUT"),
        (f"{ENDED}/curves?targets=a", 400, "INVALID_INPUT"),
        (f"{ENDED}/events-log?limit=0", 400, "INVALID_INPUT"),
        (f"{ENDED}/events-log?after=-1", 400, "INVALID_INPUT"),
        (f"{ENDED}/targets/2/best.png", 400, "INVALID_INPUT"),
        (f"{ENDED}/targets/x/best.png", 400, "INVALID_INPUT"),
        (f"{ENDED}/targets/0/best.png?size=7", 400, "INVALID_INPUT"),
        (f"{ENDED}/targets/0/best.png?size=2000", 400, "INVALID_INPUT"),
        (f"{ENDED}/targets/0/best.png?generation=-1", 400, "INVALID_INPUT"),
        (f"{ENDED}/targets/0/natural.png", 404, "NOT_FOUND"),
        ("/api/oracles/nowhere", 404, "NOT_FOUND"),
        ("/api/oracles/nowhere/units", 404, "NOT_FOUND"),
        ("/api/oracles/sim/units?layer=x", 400, "UNKNOWN_UNIT"),
        ("/api/oracles/sim/units?page_token=x", 400, "INVALID_INPUT"),
        ("/api/oracles/sim/natural", 400, "INVALID_INPUT"),
        ("/api/oracles/sim/natural?unit=units:99", 400, "UNKNOWN_UNIT"),
        ("/api/oracles/sim/natural?unit=units:1&images=x", 404, "NOT_FOUND"),
        ("/api/oracles/sim/natural?unit=units:1&count=101", 400, "INVALID_INPUT"),
        ("/api/oracles/sim/natural/50.png?unit=units:1", 404, "NOT_FOUND"),
        ("/api/groups/nowhere", 404, "NOT_FOUND"),
        ("/api/groups/No_Id", 400, "INVALID_INPUT"),
        ("/api/events", 400, "INVALID_INPUT"),
        ("/api/events?studies=No_Id", 400, "INVALID_INPUT"),
        ("/api/events?studies=" + ",".join(f"s{i}" for i in range(201)), 400, "INVALID_INPUT"),
        ("/api/nothing", 404, "NOT_FOUND"),
    ],
)
def test_wrong_requests(http, study, path, status, reason):
    answer = http.get(path)
    assert (answer.status_code, answer.json()["error"]["reason"]) == (status, reason), answer.text


def test_wrong_methods(http):
    assert http.delete("/api/studies/ended").status_code == 405
    assert http.put("/api/server").json()["error"]["reason"] == "METHOD_NOT_ALLOWED"


def test_the_best_before_the_first_generation(http, client):
    study = client.create(targets=["neuron:0"], generator="pixels", queries_per_target=50)
    answer = http.get(f"/api/studies/{study.id}/targets/0/best.png")
    assert answer.status_code == 404
    assert "no best candidate yet" in answer.json()["error"]["message"]
    study.delete()


def test_a_study_over_a_bare_space(http, client):
    """Its stimuli are its latents: a table row."""
    space = SpaceSpec("box", 3, low=(0.0,), high=(1.0,))
    study = client.create(targets=["x:0"], space=space, queries_per_target=20)
    study.ask_tell(lambda latents: latents.sum(1))
    found = http.get(f"/api/studies/{study.id}/targets/0/best.json").json()
    (best,) = study.best()
    assert (found["kind"], found["shape"]) == ("table", [3])
    assert found["values"] == best.latent.tolist()
    answer = http.get(f"/api/studies/{study.id}/targets/0/best.png")
    assert answer.status_code == 404
    assert "bare space" in answer.json()["error"]["message"]
    study.delete()
