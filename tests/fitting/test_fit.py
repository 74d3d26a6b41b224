"""Fitting generators to folders of pictures, with tiny nets."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import blackbox_am
from blackbox_am.catalogue import Catalogue, folder_generator
from blackbox_am.errors import Conflict, InvalidInput, InvalidSpec, NotFound, StoreCorrupt
from blackbox_am.fitting import Fitted, Request, autoencoders, fit
from blackbox_am.fitting.images import read_images
from blackbox_am.generators.data.pca import PCA
from blackbox_am.zoo import loading
from tests import forked

SIZE = 16


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoencoders, "WIDTHS", (8, 8, 8))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures of two sizes, in two folders, and two broken files."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "more").mkdir()
    for i, pixels in enumerate(loading.probe_images()[0][:60]):
        image = Image.fromarray(pixels)
        if i % 2:
            image.resize((40, 24)).save(folder / f"{i:03}.png")
        else:
            image.save(folder / "more" / f"{i:03}.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 nonsense")
    whole = (folder / "001.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("no picture")
    return folder


def fitted(kind: str, photos: Path, out: Path, **more: object) -> Fitted:
    given = {"size": SIZE, "minutes": 0.02, "licence": "CC0 1.0", **more}
    return fit(Request(kind, photos, out, **given))


def test_pictures_of_an_array_are_those_of_files(tmp_path: Path) -> None:
    pixels = loading.probe_images()[0][:5]
    folder = tmp_path / "files"
    folder.mkdir()
    for place, one in enumerate(pixels):
        Image.fromarray(one).save(folder / f"{place}.png")
    np.savez(tmp_path / "some.npz", images=pixels)
    np.save(tmp_path / "grey.npy", pixels[..., :1] / 255)
    files, array, grey = (
        read_images(tmp_path / name, SIZE, print) for name in ("files", "some.npz", "grey.npy")
    )
    assert torch.equal(files.pixels, array.pixels)
    assert grey.pixels.shape == array.pixels.shape
    assert torch.equal(grey.pixels[:, 0], grey.pixels[:, 2])
    np.save(tmp_path / "table.npy", np.zeros((5, 7)))
    with pytest.raises(InvalidInput, match=r"expected pictures .* got an array of shape \(5, 7\)"):
        read_images(tmp_path / "table.npy", SIZE, print)


def test_pictures_are_read_and_broken_files_are_named(photos: Path) -> None:
    told: list[str] = []
    images = read_images(photos, SIZE, told.append)
    assert images.pixels.shape == (60, 3, SIZE, SIZE)
    assert sorted(Path(name).name for name in images.skipped) == ["broken.jpg", "cut.png"]
    assert any("broken.jpg" in text for text in told)
    kept, held = images.split()
    assert (len(kept), len(held)) == (54, 6)


def test_a_picture_is_turned_and_cut_to_its_middle(tmp_path: Path) -> None:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 10:30] = 255
    pixels[:10, 10:30, 0] = 0
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 3  # upside down
    for i in range(4):
        image.save(tmp_path / f"{i}.png", exif=exif)
    found = read_images(tmp_path, 20, print).pixels
    assert found[0].float().mean() > 200  # the middle alone
    assert (found[0, 0, 15:] == 0).all()


@pytest.mark.parametrize("kind", ["pca", "vae", pytest.param("vq", marks=pytest.mark.slow), "gan"])
def test_a_generator_is_fitted_and_used_by_its_folder(
    kind: str, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    made = fitted(kind, photos, out)
    generator = folder_generator(out)
    assert generator.stimulus_shape == (3, SIZE, SIZE)
    assert generator.licence == "CC0 1.0"
    assert generator.encodes == (kind != "gan")
    assert generator.fingerprint() == made.generator.fingerprint()
    card = json.loads((out / "card.json").read_text())
    assert card["pictures"] == 54
    assert len(card["skipped"]) == 2
    assert np.isfinite(card["kid"])
    assert ("psnr" in card) == generator.encodes
    text = (out / "README.md").read_text()
    assert "CC0 1.0" in text
    assert "broken.jpg" in text
    assert (out / "samples.png").stat().st_size > 1000
    assert (out / "reconstructions.png").is_file() == generator.encodes
    entries = {"generators": {"mine": {"folder": str(out), "wrap": [
        {"kind": "resize", "size": [32, 32]}]}}}  # fmt: skip
    assert Catalogue.from_plain(entries).generator("mine").stimulus_shape == (3, 32, 32)
    for name in (out, f"{out}/"):
        result = blackbox_am.maximise(
            oracle=lambda x: x.mean((1, 2, 3)), generator=name, targets=["scores:0"],
            queries_per_target=20,
        )  # fmt: skip
        assert result.best[0].stimulus.shape == (3, SIZE, SIZE)


def test_components_of_a_folder_are_those_of_the_pictures(photos: Path, tmp_path: Path) -> None:
    made = fitted("pca", photos, tmp_path, components=9)
    kept, _ = read_images(photos, SIZE, print).split()
    direct = PCA(kept.numpy(), components=9)
    latents = torch.randn(5, 9)
    torch.testing.assert_close(made.generator.render(latents), direct.render(latents))
    assert PCA(str(tmp_path), components=4).space.dim == 4
    with pytest.raises(InvalidSpec, match="the folder has 9, got 10"):
        _ = PCA(str(tmp_path), components=10).space
    assert made.card["psnr"] > made.card["psnr_of_mean"]


@pytest.mark.slow
def test_a_training_goes_on_where_it_was(photos: Path, tmp_path: Path) -> None:
    fitted("vae", photos, tmp_path)
    before = (tmp_path / "diffusion_pytorch_model.safetensors").read_bytes()
    fitted("vae", photos, tmp_path)  # the budget is used up
    assert (tmp_path / "diffusion_pytorch_model.safetensors").read_bytes() == before
    steps: list[str] = []
    request = Request("vae", photos, tmp_path, SIZE, 0.04)
    fit(request, lambda done, text: steps.append(text))
    assert int(steps[0].split()[1]) > 1
    with pytest.raises(Conflict, match="other seed"):
        fitted("vae", photos, tmp_path, seed=1)
    with pytest.raises(Conflict, match="has a generator of kind diffusers_vae"):
        fitted("gan", photos, tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"nonsense")
    with pytest.raises(StoreCorrupt, match="damaged"):
        fitted("vae", photos, tmp_path)


@pytest.mark.slow
def test_training_reduces_the_error(photos: Path, tmp_path: Path) -> None:
    """With continuous latents; half a second of training is worse than the mean picture."""
    short = fitted("vae", photos, tmp_path / "short", minutes=0.005)
    long = fitted("vae", photos, tmp_path / "long", minutes=0.06)
    assert long.card["psnr"] > short.card["psnr"]


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_command_goes_on(sent: int, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    command = [sys.executable, "-m", "blackbox_am.cli", "generators", "fit", "gan",
               "--images", str(photos), "--size", "16", "--out", str(out)]  # fmt: skip
    code = (
        "import sys; import blackbox_am.fitting.training as t; t.SAVE_SECONDS = 0.2; "
        "sys.argv = sys.argv[1:]; from blackbox_am.cli import main; main()"
    )
    started = [sys.executable, "-c", code, "blackbox-am", *command[3:], "--minutes", "9"]
    with forked.Popen(started, stderr=subprocess.PIPE, text=True) as process:
        give_up = time.monotonic() + 100
        while not (out / "checkpoint.safetensors").is_file() and time.monotonic() < give_up:
            time.sleep(0.1)
        os.kill(process.pid, sent)
        _, told = process.communicate(timeout=60)
    assert process.returncode == (130 if sent == signal.SIGINT else -signal.SIGKILL)
    if sent == signal.SIGINT:
        assert "Go on with the same command" in told
    again = forked.run([*command, "--minutes", "0.001", "--json"], timeout=100)
    assert json.loads(again.stdout)["kind"] == "gan"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"kind": "gam"}, InvalidInput, "kind: expected pca, vae, vq, gan, got 'gam'; did you"),
        ({"kind": "gan", "size": 100}, InvalidInput, "size: expected 8, 16, 32"),
        ({"kind": "vae", "size": 227}, InvalidInput, "size: expected a multiple of"),
        ({"minutes": 0.0}, InvalidInput, "minutes: expected a number above 0"),
        ({"images": Path("nothing")}, NotFound, "no folder or file 'nothing'"),
    ],
)
def test_wrong_requests_are_said(
    changes: dict[str, object], error: type[Exception], message: str, photos: Path, tmp_path: Path
) -> None:
    given = {"kind": "pca", "images": photos, "out": tmp_path, **changes}
    with pytest.raises(error, match=message):
        fit(Request(**given))


def test_folders_without_pictures_or_generators_are_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"4 or more pictures .* found 0"):
        fit(Request("pca", tmp_path, tmp_path / "out"))
    with pytest.raises(NotFound, match=r"there is no generator.json in it"):
        Catalogue.from_plain({"generators": {"mine": {"folder": str(tmp_path)}}})
    (tmp_path / "generator.json").write_text("[]")
    with pytest.raises(InvalidSpec, match="is damaged"):
        folder_generator(tmp_path)


def test_a_caller_of_the_catalogue_cannot_name_a_folder(photos: Path, tmp_path: Path) -> None:
    fitted("pca", photos, tmp_path)
    with pytest.raises(NotFound, match="no generator"):
        Catalogue.default().generator(str(tmp_path))
