"""`blackbox-am init`: writes a first configuration for a model."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blackbox_am.cli.console import plain, wrote
from blackbox_am.errors import InvalidInput

if TYPE_CHECKING:
    from blackbox_am.core.types import OracleInfo

_FILES = {
    ".onnx": ("onnx", ""),
    ".pt2": ("torch_module", "exported:"),
    ".ts": ("torch_module", "torchscript:"),
    ".pt": ("torch_module", "torchscript:"),
}
_HEAD = """\
# A configuration of blackbox-am. `blackbox-am config reference {kind}` explains every key.
# Paths belong to the folder of this file; "${{NAME}}" is an environment variable.

[oracles.{name}]
kind = "{kind}"
"""


def init(
    model: Annotated[
        str,
        typer.Argument(
            help="A file (.onnx, .pt2, .ts), a folder of transformers, the URL of an API, or "
            "package.module:Class of PyTorch."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("models.toml"),
    shape: Annotated[
        str, typer.Option("--shape", help="Shape of one stimulus, such as 3,224,224.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a commented configuration for your model.

    A model in a file or folder is loaded, and the file lists its layers. The shape of stimuli is
    read from the model where the model states it.

        blackbox-am init classifier.onnx
        blackbox-am init https://api.example.com/classify --shape 3,224,224
    """
    if out.exists() and not force:
        raise InvalidInput(f"{out} exists; give another name with --out, or --force to replace it")
    kind, source = _source(model, out)
    sizes = _sizes(shape)
    name = _name(model)
    lines = [_HEAD.format(name=name, kind=kind), *_keys(kind, source, sizes)]
    text = "\n".join([lines[0].rstrip("\n"), *lines[1:], ""])
    info = None
    if kind != "http" and (sizes or _states_shape(kind, source)):
        info = _described(text, name, out)
    found = sizes or (info.stimulus_shape if info else ())
    text += "\n".join(["", *_layers(info), "", *_generator(found), ""])
    out.write_text(text, "utf-8")
    wrote(out)
    _next(out, name, info, bool(found))


def _source(model: str, out: Path) -> tuple[str, str]:
    if model.startswith(("http://", "https://")):
        return "http", model
    path = Path(model)
    if path.exists():
        near = Path(os.path.relpath(path, out.absolute().parent)).as_posix()
        if path.is_dir():
            if (path / "config.json").is_file():
                return "torch_module", f"transformers:{near}"
            raise InvalidInput(
                f"{model}: expected a folder of transformers, which has a config.json"
            )
        if path.suffix in _FILES:
            kind, prefix = _FILES[path.suffix]
            return kind, prefix + near
        raise InvalidInput(
            f"{model}: expected a file that ends with {', '.join(_FILES)}, got {path.suffix!r}"
        )
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", model):
        return "torch_module", model
    raise InvalidInput(
        f"{model}: there is no such file or folder; expected a file, a folder, a URL or "
        "package.module:Class"
    )


def _sizes(shape: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in re.split("[,x]", shape)) if shape else ()
    except ValueError:
        sizes = (0,)
    if any(size < 1 for size in sizes):
        raise InvalidInput(f"--shape: expected whole numbers such as 3,224,224, got {shape!r}")
    return sizes


def _name(model: str) -> str:
    last = re.split(r"[/\\:]", model.rstrip("/"))[-1]
    return re.sub(r"\W+", "_", Path(last).stem).strip("_").lower() or "model"


def _states_shape(kind: str, source: str) -> bool:
    return kind == "onnx" or source.startswith(("transformers:", "exported:"))


def _keys(kind: str, source: str, sizes: tuple[int, ...]) -> list[str]:
    shape = json.dumps(sizes or (3, 224, 224))
    if kind == "http":
        return [
            f"url = {json.dumps(source)}",
            f"stimulus_shape = {shape}{'' if sizes else '   # change: channels, height, width'}",
            'scores = "scores"                 # where the numbers stand in the answer',
            '# labels = ["cat", "dog"]         # names of the units, or: units = 2',
            '# headers = { Authorization = "Bearer ${API_KEY}" }',
            "",
            f"[[oracles.{_name(source)}.wrap]]  # each answer is paid for once",
            'kind = "cache"',
            'path = "answers.sqlite3"',
        ]
    mark = "" if sizes else "# "
    if not sizes and not _states_shape(kind, source):
        mark, shape = "", shape + "   # change: the shape of one stimulus"
    return [
        f"model = {json.dumps(source)}",
        f"{mark}stimulus_shape = {shape}",
        "# mean = [0.485, 0.456, 0.406]       # subtracted from stimuli in [0, 1] ...",
        "# std = [0.229, 0.224, 0.225]        # ... which are then divided by this",
        '# labels = ["cat", "dog"]            # names of the classes',
    ]


def _described(text: str, name: str, out: Path) -> OracleInfo:
    """What the model of this configuration says of itself."""
    import tempfile

    from blackbox_am.service.config import load_config

    with tempfile.NamedTemporaryFile("w", suffix=".toml", dir=out.absolute().parent) as file:
        file.write(text)
        file.flush()
        return load_config(Path(file.name)).catalogue.oracle(name).describe()


def _layers(info: OracleInfo | None) -> list[str]:
    if info is None:
        return []
    lines = [f"# Stimuli: {info.stimulus_shape}. Layers, with their number of units:"]
    lines += [f"#   {layer.name}  {layer.units}" for layer in info.layers[-20:]]
    if len(info.layers) > len(lines) - 1:
        lines.insert(1, f"#   ... the first {len(info.layers) - 20} are not listed")
    return lines


def _generator(shape: tuple[int, ...]) -> list[str]:
    lines = ["# The search finds only stimuli that its generator can produce."]
    picture = len(shape) == 3 and shape[0] in (1, 3)
    kind = "fourier" if picture else "pixels"
    shown = shape or (3, 224, 224)
    change = "" if shape else "   # change: as stimulus_shape"
    return [
        *lines,
        "[generators.stimuli]",
        f'kind = "{kind}"',
        f"shape = {json.dumps(shown)}{change}",
    ]


def _next(out: Path, name: str, info: OracleInfo | None, complete: bool) -> None:
    file = shlex.quote(str(out))
    if not complete:
        plain(f"change the lines of {file} that are marked, then:")
    plain(f"blackbox-am config check {file}")
    if info:
        unit = f"{info.layers[-1].name}:0"
        plain(
            f"blackbox-am run --config {file} --oracle {name} --generator stimuli -t {unit} "
            "--out best.png"
        )
