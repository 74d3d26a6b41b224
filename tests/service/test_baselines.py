"""Natural images as the baseline of a study on a real server."""

from dataclasses import replace

import grpc
import numpy as np
import pytest
from PIL import Image

from blackbox_am.catalogue import Catalogue
from blackbox_am.client import BaselineMeasured, connect
from blackbox_am.core.spec import BaselineSpec, SpaceSpec
from blackbox_am.core.tensors import npy_of
from blackbox_am.core.types import StudyState
from blackbox_am.errors import InvalidSpec, NotFound, ShapeMismatch
from blackbox_am.rpc import status
from blackbox_am.service import running
from blackbox_am.service.config import load_config
from blackbox_am.stores import SQLStore
from blackbox_am.v1 import study_pb2 as pb
from blackbox_am.v1 import study_service_pb2 as service_pb

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 3, 8, 8), np.uint8)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    folders = [tmp_path_factory.mktemp(name) for name in ("photos", "empty", "broken")]
    for place, image in enumerate(IMAGES[:5]):
        Image.fromarray(image.transpose(1, 2, 0)).save(folders[0] / f"{place}.png")
    (folders[2] / "a.png").write_bytes(b"no picture")
    tables = {
        "oracles": {"sim": {"kind": "simulated"}, "series": {"kind": "torch_module",
                    "model": "zoo:cbf_cnn"}},
        "generators": {"pixels": {"kind": "pixels", "shape": [3, 8, 8]},
                       "cbf_vae": {"kind": "series_vae", "weights": "zoo:cbf_vae"}},
        "images": {folder.name.rstrip("0"): {"folder": str(folder)} for folder in folders},
    }  # fmt: skip
    return Catalogue.from_plain(tables)


def create(client, **changes):
    wanted = {
        "oracle": "sim",
        "generator": "pixels",
        "targets": ["units:0", "units:3"],
        "queries_per_target": 60,
        "seed": 0,
        "baseline": "photos",
    }
    return client.create(**{**wanted, **changes})


def test_a_named_set_a_folder_and_an_array(client, tmp_path):
    named = create(client)
    end = named.wait(60)
    assert end.state is StudyState.SUCCEEDED, end.message
    assert end.spent.baseline_rows == 5
    assert end.spent.rows - end.spent.retried_rows == 120 + end.spent.rows_apart
    best = named.best(stimuli=True, dtype="float32")
    place = best[0].natural
    assert (place.images, end.targets[0].natural) == (5, place)
    assert np.allclose(best[0].natural_stimulus * 255, IMAGES[place.best_image])
    assert [e.images for e in named.watch() if isinstance(e, BaselineMeasured)] == [5]
    array = create(client, baseline=IMAGES[:5])
    array.wait(60)
    assert [b.natural for b in array.best()] == [b.natural for b in best]
    folder = tmp_path / "mine"
    folder.mkdir()
    Image.fromarray(IMAGES[0].transpose(1, 2, 0)).save(folder / "a.png")
    uploaded = create(client, baseline=folder)
    uploaded.wait(60)
    assert uploaded.best()[0].natural.images == 1
    assert uploaded.spec().baseline.artifact


def test_the_same_pictures_in_other_forms_are_the_same_baseline(client, tmp_path):
    last = IMAGES[:5].transpose(0, 2, 3, 1)
    np.savez(tmp_path / "deep.npz", images=last.astype(np.uint16) * 16, white=16 * 255)
    forms = (last, list(last), [Image.fromarray(one) for one in last])
    artifacts = {create(client, baseline=form).spec().baseline.artifact for form in forms}
    assert artifacts == {create(client, baseline=IMAGES[:5]).spec().baseline.artifact}
    first, deep = (create(client, baseline=form) for form in (last, tmp_path / "deep.npz"))
    for study in (first, deep):
        study.wait(60)
    for one, other in zip(first.best(), deep.best(), strict=True):
        assert one.natural.best_image == other.natural.best_image
        assert np.isclose(one.natural.maximum, other.natural.maximum)


def test_the_specification_is_part_of_the_identity(client):
    study = create(client, study_id="one")
    assert create(client, study_id="one").id == study.id
    with pytest.raises(Exception, match="baseline"):
        create(client, study_id="one", baseline=None)


@pytest.mark.parametrize(
    ("changes", "error", "field", "says"),
    [
        ({"baseline": "fotos"}, NotFound, "baseline.images", "photos"),
        ({"baseline": "empty"}, InvalidSpec, "baseline.images", "holds no images"),
        ({"baseline": BaselineSpec(artifact="0" * 64)}, NotFound, "baseline.artifact", "artifact"),
        ({"baseline": IMAGES[:, :2]}, ShapeMismatch, "baseline.artifact", "1 or 3 channels"),
        ({"baseline": IMAGES[0, 0, 0]}, ShapeMismatch, "baseline.artifact", "uint8"),
        ({"oracle": None}, InvalidSpec, "baseline", "clients evaluate"),
        (
            {"oracle": None, "generator": None, "space": SpaceSpec("normal", 4)},
            InvalidSpec,
            "baseline",
            "clients evaluate",
        ),
        (
            {"oracle": "series", "generator": "cbf_vae", "targets": ["features:0"]},
            ShapeMismatch,
            "baseline.images",
            "array",
        ),
    ],
)
def test_bad_input_is_refused_with_its_field(client, changes, error, field, says):
    if changes.get("targets"):
        changes = {**changes, "targets": [client.units(changes["oracle"])[0]]}
    with pytest.raises(error) as found:
        create(client, **changes)
    assert found.value.field == f"spec.{field}"
    assert says in found.value.message


def test_values_out_of_range_are_refused_here_and_by_the_server(client):
    array = np.full((1, 3, 8, 8), 7.0)
    with pytest.raises(InvalidSpec, match="white") as found:
        create(client, baseline=array)
    assert found.value.field == "baseline"
    written = BaselineSpec(artifact=client.write_array(array))
    with pytest.raises(InvalidSpec, match="white") as found:
        create(client, baseline=written)
    assert found.value.field == "spec.baseline.artifact"


@pytest.mark.parametrize("rows", [0, 10_001])
def test_a_number_of_rows_out_of_range_is_refused(raw, rows):
    spec = pb.StudySpec(
        generator=pb.GeneratorSpec(name="pixels"),
        oracle="sim",
        targets=[pb.Objective(quantities=["units:0"])],
        budget=pb.Budget(queries_per_target=10),
        baseline=pb.Baseline(images="photos", rows=rows),
    )
    with pytest.raises(grpc.RpcError) as found:
        raw.studies.CreateStudy(service_pb.CreateStudyRequest(spec=spec), timeout=20)
    error = status.from_rpc_error(found.value)
    assert isinstance(error, InvalidSpec)
    assert error.field == "spec.baseline.rows"


def test_a_picture_that_cannot_be_read_is_named(client):
    with pytest.raises(InvalidSpec, match=r"a\.png"):
        create(client, baseline="broken")


def test_the_artifact_stays_as_long_as_the_study(config, tmp_path):
    stored = replace(config, store=str(tmp_path / "s.sqlite3"))
    with running(stored) as address, connect(address) as client:
        study = create(client, baseline=IMAGES)
        digest = study.spec().baseline.artifact
        study.wait(60)
    store = SQLStore(stored.store)
    assert store.artifacts.of_study(study.id) == {"baseline.artifact": digest}
    assert store.artifacts.get(digest) == npy_of(IMAGES)
    store.close()


def test_sets_of_images_stand_in_the_operators_file(tmp_path):
    path = tmp_path / "server.toml"
    path.write_text('[images.photos]\nfolder = "/data/photos"\n')
    assert load_config(path).catalogue.image_names() == ["photos", "shipped"]
    path.write_text('[images.photos]\nfile = "/data/photos"\n')
    with pytest.raises(InvalidSpec, match=r"images\.photos"):
        load_config(path)
