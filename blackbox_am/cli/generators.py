"""`blackbox-am generators ...`: generators of the user's own pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from blackbox_am.cli import options
from blackbox_am.cli.console import err, plain, wrote
from blackbox_am.cli.failures import INTERRUPTED

app = typer.Typer(no_args_is_help=True, help="Fit generators to your own pictures.")


@app.callback()
def _group() -> None:
    """Fit generators to your own pictures."""


@app.command()
def fit(
    kind: Annotated[str, typer.Argument(help="pca, vae, vq or gan.")],
    images: Annotated[
        Path, typer.Option("--images", help="Folder of pictures, or a .npz or .npy file.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    size: Annotated[int, typer.Option("--size", help="Side of the pictures, in pixels.")] = 128,
    minutes: Annotated[
        float, typer.Option("--minutes", help="Time of the training; pca needs seconds.")
    ] = 60.0,
    components: Annotated[int, typer.Option("--components", help="Most components of pca.")] = 256,
    licence: Annotated[
        str, typer.Option("--licence", help="Licence of the pictures, for the card.")
    ] = "",
    seed: options.Seed = 0,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, or auto.")] = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Fit a generator to a folder of pictures.

    pca: principal components, in seconds. vae: continuous latents. vq: codes, or continuous
    latents. gan: sharp pictures, without an encoder; it needs thousands of pictures. The last three
    train for --minutes, on a CPU some hours. Ctrl-C loses nothing: the same command continues.

    The folder is the generator's name:

        blackbox-am generators fit pca --images photos/ --size 227 --out mine/

        blackbox-am run --generator mine/ --config FILE --oracle my_model -t fc:3

    and stands in a configuration as

        [generators.mine]

        folder = "mine/"

    It has a card with the measured quality (README.md), samples.png and reconstructions.png.
    """
    import json

    from blackbox_am.core.devices import resolve_device
    from blackbox_am.fitting import Request
    from blackbox_am.fitting import fit as fit_generator

    request = Request(
        kind, images, out, size, minutes, components, licence, seed, resolve_device(device)
    )
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=err, transient=True) as bar:
            task = bar.add_task(f"fitting {kind}", total=1.0)
            fitted = fit_generator(
                request,
                lambda done, text: bar.update(task, completed=done, description=text),
                lambda text: err.print(text, markup=False, soft_wrap=True),
            )
    except KeyboardInterrupt:
        err.print("\nStopped; nothing is lost. Go on with the same command.", highlight=False)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        plain(json.dumps(fitted.card))
    else:
        plain((out / "README.md").read_text(encoding="utf-8"))
    wrote(f"{out}; use it as --generator {out}/")
