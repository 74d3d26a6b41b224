"""The built page: small, complete, and without requests to other hosts."""

import gzip
import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "blackbox_am" / "gateway" / "static"
SOURCES = ROOT / "clients" / "dashboard"
MOST_BYTES = 60 * 1024
NAMESPACES = ("http://www.w3.org/", "http://fb.me/")  # of SVG and others: names, never requested


def built():
    return sorted(path for path in STATIC.iterdir() if path.is_file())


def test_all_files_together_are_small():
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in built()}
    assert {"index.html", "index.js", "index.css", "worker.js"} <= set(sizes)
    assert sum(sizes.values()) <= MOST_BYTES, sizes


@pytest.mark.parametrize("path", built(), ids=lambda path: path.name)
def test_no_other_host_is_named(path):
    found = re.findall(r"https?://[^\s\"'`<>)]*", path.read_text("utf-8"))
    assert not [url for url in found if not url.startswith(NAMESPACES)]


def test_the_page_names_files_that_exist():
    page = (STATIC / "index.html").read_text("utf-8")
    names = re.findall(r'(?:src|href)="\./([^"]+)"', page)
    assert len(names) >= 3
    assert all((STATIC / name).is_file() for name in names)


def test_the_page_has_no_inline_script_or_style():
    page = (STATIC / "index.html").read_text("utf-8")
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\bstyle=|\bon\w+=", page)


def test_the_wheel_has_the_page():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "gateway/static/**/*" in project["tool"]["setuptools"]["package-data"]["blackbox_am"]


def test_the_lockfile_names_no_registry_and_pins_every_package():
    lock = json.loads((SOURCES / "package-lock.json").read_text("utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert not [name for name, entry in packages.items() if "resolved" in entry]
    assert all(entry["integrity"] for entry in packages.values())
    wanted = json.loads((SOURCES / "package.json").read_text("utf-8"))
    versions = wanted["dependencies"] | wanted["devDependencies"]
    assert all(re.fullmatch(r"[\d.]+", version) for version in versions.values())


def test_the_page_has_the_version_of_the_package():
    from blackbox_am.version import __version__

    package = json.loads((SOURCES / "package.json").read_text("utf-8"))
    assert package["version"].split(".")[:2] == __version__.split(".")[:2]


def test_a_browser_asks_whether_the_page_changed(http):
    page = http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for name in ("", "index.js", "index.css", "worker.js"):
        found = http.get(f"/{name}")
        assert found.headers["cache-control"] == "no-cache"
        again = http.get(f"/{name}", headers={"if-none-match": found.headers["etag"]})
        assert again.status_code == 304
