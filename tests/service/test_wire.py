"""What makes the wire easy for other languages: presence, filters, views, paths, defaults."""

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

from blackbox_am.core.spec import ObjectiveSpec, SpaceSpec
from blackbox_am.errors import InvalidInput, ServerUnavailable, ShapeMismatch, Unsupported
from blackbox_am.rpc import api, status, tensors
from blackbox_am.v1 import catalog_service_pb2 as catalog_pb
from blackbox_am.v1 import study_pb2, tensor_pb2
from blackbox_am.v1 import study_service_pb2 as pb

P = 6


def by_clients(client, **changes):
    wanted = {"targets": ["u:0"], "space": SpaceSpec("normal", 3), "queries_per_target": 2 * P}
    return client.create(**{**wanted, "parameters": {"population": P}, **changes})


def details(error):
    metadata = dict(error.trailing_metadata())
    found = {}
    for packed in Status.FromString(metadata[status.DETAILS_KEY]).details:
        for kind in (BadRequest, RetryInfo):
            message = kind()
            if packed.Unpack(message):
                found[kind] = message
    return found


def violated(method, request):
    with pytest.raises(grpc.RpcError) as caught:
        method(request, timeout=20)
    return details(caught.value)[BadRequest].field_violations[0].field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda s: s.targets[0].quantities.append("units:99"), "spec.targets[0].quantities[1]"),
        (lambda s: s.targets.add(quantities=["no unit!"]), "spec.targets[1].quantities[0]"),
        (lambda s: setattr(s.targets[0], "kind", "meen"), "spec.targets[0].kind"),
        (
            lambda s: s.targets[0].MergeFrom(
                study_pb2.Objective(kind="sum", terms=[study_pb2.Objective(quantities=["x:1"])])
            ),
            "spec.targets[0].terms[0].quantities[0]",
        ),
        (lambda s: s.targets.add(expression="units:1 -"), "spec.targets[1].expression"),
        (
            lambda s: s.targets.add(expression="units:1", kind="mean"),
            "spec.targets[1].expression",
        ),
        (lambda s: setattr(s.budget, "queries_per_target", 0), "spec.budget.queries_per_target"),
        (lambda s: setattr(s.budget, "patience", -1), "spec.budget.patience"),
        (lambda s: setattr(s.generator, "name", "pixel"), "spec.generator.name"),
        (lambda s: setattr(s, "oracle", "simm"), "spec.oracle"),
        (lambda s: setattr(s.optimizer, "name", "cmaa"), "spec.optimizer.name"),
        (lambda s: s.optimizer.parameters.update({"nonsense": 1}), "spec.optimizer.parameters"),
        (lambda s: s.start.SetInParent(), "spec.start"),
        (lambda s: s.ClearField("targets"), "spec.targets"),
        (lambda s: s.criteria.add(kind="threshhold"), "spec.criteria[0].kind"),
        (
            lambda s: s.criteria.add(kind="threshold", quantities=["x y"]),
            "spec.criteria[0].quantities[0]",
        ),
        (
            lambda s: s.criteria.add(kind="threshold", quantities=["units:0"]).parameters.update(
                {"above": 1}
            ),
            "spec.criteria[0].parameters.above",
        ),
    ],
)
def test_the_field_at_fault_is_a_path_from_the_request(raw, spec, change, field):
    change(spec)
    found = violated(raw.studies.CreateStudy, pb.CreateStudyRequest(spec=spec))
    assert found.startswith(field)
    assert found in (field, f"{field}.nonsense", f"{field}.quantities", f"{field}.terms")


def test_no_librarys_phrase_leaks(raw, spec):
    spec.budget.queries_per_target = 0
    with pytest.raises(grpc.RpcError) as found:
        raw.studies.CreateStudy(pb.CreateStudyRequest(spec=spec))
    assert found.value.details() == (
        "budget.queries_per_target: expected a whole number, at least 1, got 0"
    )


def test_a_seed_that_is_left_out_is_drawn_and_reported(raw, spec):
    def create(study_id, **changes):
        request = pb.CreateStudyRequest(spec=spec, study_id=study_id, **changes)
        return raw.studies.CreateStudy(request).study.spec

    first, second = create("drawn-a"), create("drawn-b")
    assert first.seed != second.seed
    assert create("drawn-a").seed == first.seed  # the same request again is the same study
    spec.seed = 0
    assert create("drawn-c").HasField("seed")
    assert create("drawn-c").seed == 0


def test_studies_are_found_by_label_and_shown_briefly(client, raw):
    many = [f"u:{i}" for i in range(50)]
    by_clients(client, study_id="lab-a", targets=many, labels={"lab": "x", "day": "1"})
    by_clients(client, study_id="lab-b", labels={"lab": "x"})
    by_clients(client, study_id="lab-c", labels={"lab": "y"})
    assert [s.study_id for s in client.studies(labels={"lab": "x"})] == ["lab-a", "lab-b"]
    assert [s.study_id for s in client.studies(labels={"lab": "x", "day": "1"})] == ["lab-a"]
    brief = raw.studies.ListStudies(pb.ListStudiesRequest(labels={"day": "1"})).studies[0]
    assert (len(brief.targets), len(brief.spec.targets), brief.target_count) == (0, 0, 50)
    assert brief.spec.labels["lab"] == "x"
    full = pb.ListStudiesRequest(labels={"day": "1"}, view=study_pb2.STUDY_VIEW_FULL)
    (shown,) = raw.studies.ListStudies(full).studies
    assert (len(shown.targets), list(shown.units)) == (50, many)
    assert brief.ByteSize() * 5 < shown.ByteSize()
    with pytest.raises(grpc.RpcError):
        raw.studies.GetStudy(pb.GetStudyRequest(name="studies/lab-a", view=9))


def test_one_score_a_row_is_enough(client, raw):
    study = by_clients(client)
    asked = study.ask()
    request = pb.TellRequest(name=f"studies/{study.id}", candidate_ids=asked.ids)
    request.scores.values.extend(range(P))
    told = raw.studies.Tell(request)
    assert (told.accepted, told.done) == (P, False)
    assert next(study.generations()).scores.tolist() == [list(range(P))]
    double = by_clients(client, targets=[ObjectiveSpec("mean", quantities=("u:0", "u:1"))])
    with pytest.raises(InvalidInput, match="not the value of one unit"):
        double.tell(double.ask(), np.zeros(P))
    request = pb.TellRequest(name=f"studies/{study.id}", candidate_ids=study.ask().ids)
    assert violated(raw.studies.Tell, request) == "activations"


def test_all_units_of_every_row_may_be_told(client):
    targets = [
        ObjectiveSpec("mean", quantities=("u:2", "u:0")),
        ObjectiveSpec("weighted", quantities=("u:1",), weights=(-1.0,)),
    ]
    study = by_clients(client, targets=targets)
    assert study.units() == ["u:2", "u:0", "u:1"]
    asked = study.ask()
    values = np.arange(3.0 * len(asked)).reshape(-1, 3)
    with pytest.raises(ShapeMismatch, match="expected 3 columns, u:2, u:0, u:1, got 2"):
        study.tell(asked, values[:, :2], all_units=True)
    study.tell(asked, values, all_units=True)
    expected = {0: values[:, :2].mean(1), 1: -values[:, 2]}
    scores = next(study.generations()).scores
    for target, found in enumerate(scores):
        mine = np.array(asked.targets) == target
        np.testing.assert_array_equal(found, expected[target][mine])


def test_reading_takes_filters(client, raw):
    study = by_clients(client, targets=["u:0", "u:1", "u:2"])
    for _ in range(2):
        asked = study.ask()
        study.tell(asked, asked.latents.sum(1))
    assert [g.generation for g in study.generations()] == [0, 1]
    assert [g.generation for g in study.generations(after=0)] == [1]
    assert list(study.generations(after=1)) == []
    assert [b.target for b in study.best(targets=[2, 0])] == [0, 2]
    with pytest.raises(InvalidInput, match="targets 0 to 2, got 3"):
        study.best(targets=[3])
    end = raw.studies.GetStudy(pb.GetStudyRequest(name=f"studies/{study.id}")).study
    assert end.best_score == max(b.score for b in study.best())
    over = raw.studies.Ask(pb.AskRequest(name=f"studies/{study.id}"))
    assert (over.done, list(over.latents.shape), over.HasField("retry_after")) == (
        True,
        [0, 3],
        False,
    )


@pytest.mark.parametrize(
    ("after", "first"),
    [({}, "study 2"), ({"after_sequence": 0}, "study 1 2"), ({"after_sequence": 1}, "study 2")],
)
def test_a_snapshot_and_a_sequence_number_go_together(client, raw, after, first):
    study = by_clients(client)
    request = pb.WatchStudyRequest(name=f"studies/{study.id}", snapshot_first=True, **after)
    call = raw.studies.WatchStudy(request, timeout=30)
    seen = ["study"]
    assert next(call).study.sequence == 1
    study.cancel()
    seen += [str(update.event.sequence) for update in call]
    assert " ".join(seen) == first


def test_stimuli_come_in_the_dtype_that_was_asked_for(client, raw):
    study = client.create(targets=["u:0"], generator="pixels", queries_per_target=100)
    name = f"studies/{study.id}"
    for dtype, expected in ((0, 4), (tensor_pb2.DTYPE_UINT8, 4), (tensor_pb2.DTYPE_FLOAT32, 1)):
        request = pb.AskRequest(
            name=name, with_stimuli=True, stimulus_dtype=dtype, max_candidates=2
        )
        assert raw.studies.Ask(request).stimuli.dtype == expected
    wrong = pb.AskRequest(name=name, stimulus_dtype=tensor_pb2.DTYPE_FLOAT64)
    assert violated(raw.studies.Ask, wrong) == "stimulus_dtype"
    latents = tensors.to_proto(np.full((1, 192), 0.5, np.float32))
    header, *_ = raw.catalog.Render(catalog_pb.RenderRequest(generator="pixels", latents=latents))
    assert header.header.stimuli.dtype == tensor_pb2.DTYPE_UINT8


def test_the_server_says_what_it_is(client, raw, monkeypatch):
    info = client.server_info()
    assert info.api_version == api.VERSION
    assert {"artifacts", "client_sessions", "groups"} <= set(info.features)
    assert info.min_keepalive_interval == 10
    assert info.limits.max_targets == 100_000
    assert info.limits.max_lease_duration == 86_400
    with pytest.raises(Unsupported, match=r"version 9\.0 of the API"):
        api.check_version("9.0", "far:1")
    names = [objective.name for objective in client.objectives()]
    assert {"mean", "weighted", "sum", "product"} <= set(names)
    assert names == sorted(names)
    sample = raw.catalog.Sample(catalog_pb.SampleRequest(generator="pixels", count=1))
    assert next(iter(sample)).header.seed != 0


def test_what_may_succeed_later_says_when():
    error = ServerUnavailable("the server is shutting down")
    kinds = [packed.type_url.rpartition(".")[2] for packed in status.to_status(error).details]
    assert "RetryInfo" in kinds
