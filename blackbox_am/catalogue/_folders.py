"""Generators that are stored in a folder, with a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from blackbox_am import plugins
from blackbox_am.core.generator import Generator
from blackbox_am.errors import InvalidSpec, NotFound

MANIFEST = "generator.json"
"""The file in a generator's folder: an object with `kind`, `parameters`, and in `paths` parameters
that are paths in the folder.
"""


def is_generator_folder(name: object) -> bool:
    """Whether `name` is the path of a folder with a manifest."""
    return isinstance(name, (str, Path)) and str(name) != "" and (Path(name) / MANIFEST).is_file()


def folder_entry(folder: str | Path) -> dict[str, Any]:
    """The table of a configuration that describes the generator in `folder`.

    Raises:
        NotFound: if there is no manifest.
        InvalidSpec: if the manifest is no such object.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        parameters = dict(manifest["parameters"])
        paths = {key: str(Path(folder) / file) for key, file in manifest["paths"].items()}
        return {"kind": str(manifest["kind"]), **parameters, **paths}
    except FileNotFoundError as error:
        raise NotFound(
            f"folder {str(folder)!r}: there is no {MANIFEST} in it; expected a folder that "
            "`blackbox-am generators fit` wrote",
            field="folder",
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidSpec(
            f"folder {str(folder)!r}: its {MANIFEST} is damaged ({error!r}); fit it again",
            field="folder",
        ) from error


def write_manifest(
    folder: Path, kind: str, parameters: dict[str, Any], paths: dict[str, str]
) -> None:
    """Makes `folder` a generator's folder.

    Args:
        folder: an existing folder.
        kind: of the generator.
        parameters: plain values.
        paths: parameters that are files or folders in `folder`, relative to it.
    """
    text = json.dumps({"kind": kind, "parameters": parameters, "paths": paths}, indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def folder_generator(folder: str | Path) -> Generator:
    """The generator in `folder`.

    Raises:
        NotFound, InvalidSpec: as `folder_entry`, or if the generator cannot be built.
    """
    entry = folder_entry(folder)
    return plugins.generators.build(entry.pop("kind"), entry)
