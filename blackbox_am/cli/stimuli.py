"""`blackbox-am sample` and `interpolate`: write stimuli of a generator to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from blackbox_am.cli import options
from blackbox_am.cli.connecting import connect, secured
from blackbox_am.cli.console import err, wrote
from blackbox_am.client import Client
from blackbox_am.core.interpolation import interpolate as between
from blackbox_am.core.pictures import array_in
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidInput, NotFound, did_you_mean

Array = NDArray[Any]
OnRows = Callable[[int], None]

Generator = Annotated[
    str,
    typer.Argument(
        help="Name of a generator, see `blackbox-am catalog generators`; or the folder of one that "
        "`blackbox-am generators fit` wrote."
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="A picture (.png, .pdf, .svg), or a file of the stimuli's values (.npy).",
    ),
]
Columns = Annotated[int, typer.Option("--columns", min=1, help="Stimuli in each row.")]
Target = Annotated[
    int,
    typer.Option(
        "--target",
        min=0,
        max=2**31 - 1,
        help="Number of the target, from 0, for a generator with one input for each target, such "
        "as `perturbation` or `neighbourhood`: target k of a study searches around input k. "
        "`blackbox-am catalog generators` lists the number of targets of each generator.",
    ),
]
LatentsOut = Annotated[
    Path | None,
    typer.Option(
        "--latents-out", help="Write the latents to this .npy file, one row for each stimulus."
    ),
]
Server = Annotated[
    str | None, typer.Option("--server", "-s", help="Use a generator of this server, host:port.")
]
Config = Annotated[
    Path | None, typer.Option("--config", help="TOML file with your own [generators].")
]


class _Source(Protocol):
    """A generator of this installation or of a server."""

    space: SpaceSpec

    def sample(self, n: int, seed: int) -> Array: ...

    def render(self, latents: Array, target: int, on_rows: OnRows) -> Array: ...


@secured
def sample(
    generator: Generator,
    n: Annotated[int, typer.Option("--n", "-n", min=1, max=2**16, help="Number of stimuli.")] = 64,
    target: Target = 0,
    out: Out = Path("samples.png"),
    columns: Columns = 8,
    seed: options.Seed = 0,
    latents_out: LatentsOut = None,
    server: Server = None,
    config: Config = None,
) -> None:
    """Draw stimuli from a generator's prior.

    A search starts from such stimuli. The same seed draws the same latents.

    For example:

        blackbox-am sample cifar_vae --n 64 --out grid.png

        blackbox-am sample my_attack --config FILE --target 1
    """
    _check_places(out, latents_out)
    with _source(generator, server, config) as source:
        latents = source.sample(n, seed)
        _write(source, latents, target, out, columns, latents_out)


@secured
def interpolate(
    generator: Generator,
    steps: Annotated[
        int,
        typer.Option("--steps", min=2, max=1000, help="Stimuli in each row, including both ends."),
    ] = 8,
    rows: Annotated[int, typer.Option("--rows", min=1, max=1000, help="Pairs of latents.")] = 6,
    latents: Annotated[
        Path | None,
        typer.Option(
            "--latents",
            help="A .npy file of latents, shape (M, D). Row i of the picture leads from latent i "
            "to latent i + 1. Without this option, pairs are drawn from the prior.",
        ),
    ] = None,
    target: Target = 0,
    out: Out = Path("interpolation.png"),
    seed: options.Seed = 0,
    latents_out: LatentsOut = None,
    server: Server = None,
    config: Config = None,
) -> None:
    """Show stimuli between pairs of latents, to see whether the latent space is smooth.

    The path is a great circle for normal and spherical latents and a straight line in a box.
    Codes change one position after another.

    For example:

        blackbox-am interpolate cifar_vae --rows 6 --steps 10 --out between.png
    """
    _check_places(out, latents_out)
    with _source(generator, server, config) as source:
        pairs = (
            source.sample(2 * rows, seed).reshape(rows, 2, -1)
            if latents is None
            else _consecutive(_read(latents, source.space))
        )
        ways = [between(source.space, start, end, steps) for start, end in pairs]
        _write(source, np.concatenate(ways), target, out, steps, latents_out)


def _check_places(out: Path, latents_out: Path | None) -> None:
    """Check the output files before the rendering, which can take minutes."""
    for path in (out, latents_out):
        if path is not None and path.is_dir():
            raise InvalidInput(f"{path} is a folder; name a file in it")
    if latents_out is not None and latents_out.suffix != ".npy":
        raise InvalidInput(f"--latents-out {latents_out}: expected a file ending in .npy")
    if out.suffix != ".npy":
        from blackbox_am.plots.saving import check_ending

        check_ending(out)


def _read(path: Path, space: SpaceSpec) -> Array:
    found = array_in(path, "--latents")
    if found.ndim != 2 or len(found) < 2 or found.shape[1] != space.dimension:
        raise InvalidInput(
            f"{path}: expected latents of shape (M, {space.dimension}), M at least 2, got "
            f"{found.shape}"
        )
    return found


def _consecutive(latents: Array) -> Array:
    return np.stack([latents[:-1], latents[1:]], axis=1)


def _write(
    source: _Source,
    latents: Array,
    target: int,
    out: Path,
    columns: int,
    latents_out: Path | None,
) -> None:
    with _progress(len(latents)) as on_rows:
        stimuli = source.render(latents, target, on_rows)
    if latents_out is not None:
        _save_array(latents_out, latents)
    if out.suffix == ".npy":
        _save_array(out, stimuli)
    else:
        from blackbox_am.plots import save, sheet

        save(sheet(list(stimuli), columns=columns), out)
        _say(out)


def _save_array(path: Path, array: Array) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror}; choose another place"
        ) from error
    _say(path)


def _say(path: Path) -> None:
    wrote(path)


@contextmanager
def _progress(total: int) -> Iterator[OnRows]:
    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda rows: bar.update(task, completed=rows)


@contextmanager
def _source(generator: str, server: str | None, config: Path | None) -> Iterator[_Source]:
    if server is None:
        yield _LocalSource(generator, config)
        return
    with connect(server) as client:
        yield _RemoteSource(client, generator)


class _LocalSource:
    """A generator of this installation."""

    def __init__(self, name: str, config: Path | None) -> None:
        from blackbox_am.cli.options import catalogue_of
        from blackbox_am.studies.given import generator_of

        self._generator = generator_of(name, catalogue_of(config))
        self.space = self._generator.space.spec

    def sample(self, n: int, seed: int) -> Array:
        from blackbox_am.evaluation import rendering

        return rendering.sample(self._generator.space, n, seed)

    def render(self, latents: Array, target: int, on_rows: OnRows) -> Array:
        from blackbox_am.evaluation import rendering

        pieces: list[Array] = []
        checked = rendering.checked(self._generator, latents)
        targets = rendering.checked_targets(self._generator, [target], len(checked))
        for piece in rendering.batches(self._generator, checked, targets):
            pieces.append(piece)
            on_rows(sum(map(len, pieces)))
        return np.concatenate(pieces)


class _RemoteSource:
    """A generator of a server."""

    def __init__(self, client: Client, name: str) -> None:
        self._client, self._name = client, name
        found = {entry.name: entry for entry in client.generators()}
        if name not in found:
            raise NotFound(f"no generator {name!r} in the catalogue{did_you_mean(name, found)}")
        entry = found[name]
        if entry.space is None:
            raise NotFound(f"generator {name!r} cannot be built: {entry.problem}")
        self.space = entry.space

    def sample(self, n: int, seed: int) -> Array:
        return self._client.sample(self._name, n, seed=seed)

    def render(self, latents: Array, target: int, on_rows: OnRows) -> Array:
        return self._client.render(
            self._name, latents, targets=target, dtype="float32", on_rows=on_rows
        )
