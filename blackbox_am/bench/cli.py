"""The `bench` commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from blackbox_am.bench import measurement
from blackbox_am.bench.termination import ends_in_order
from blackbox_am.errors import InvalidInput, did_you_mean

app = typer.Typer(
    no_args_is_help=True,
    help="Measure: every command prints a table of ratios against a baseline of the same run.",
)

console = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Tells what is being measured. A spinner would take part in the measurement."""
    console.print(text, style="dim")


@contextmanager
def progress_bar(steps: int) -> Iterator[Callable[[str], None]]:
    """Tells each of `steps` steps in a line, above a bar where there is a terminal.

    The bar is only drawn when it is told something: nothing of it runs while others measure.
    """
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("", total=steps)

        def tell(text: str) -> None:
            console.print(text, style="dim")
            bar.update(task, advance=1, refresh=True)

        yield tell


Assets = Annotated[
    Path | None, typer.Option(help="Folder with further models, see bench/problems.py.")
]
Results = Annotated[
    Path | None,
    typer.Option(help="File that collects what was found; what it holds is not run again."),
]
Page = Annotated[Path | None, typer.Option(help="Also write the tables into this Markdown page.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the table to this file.")]


@app.command()
@ends_in_order()
def loop(
    generations: Annotated[int, typer.Option(help="Generations of (a).", min=2)] = 24,
    repeats: Annotated[int, typer.Option(help="Studies of each kind in (b).", min=1)] = 12,
    seconds: Annotated[float, typer.Option(help="For each rate of (c).", min=0.1)] = 10.0,
    json_file: JsonFile = None,
) -> None:
    """What a study costs beside the model: the loop, the wire, ask and tell.

    (a) whole study over oracle + generator alone; (b) over loopback against in process;
    (c) candidates a second through ask and tell, durable.
    """
    from blackbox_am.bench import loop as bench

    lines = [
        bench.study_overhead(generations, say),
        bench.wire_overhead(repeats, 6, say),
        bench.ask_tell_rate(512, seconds, say),
        bench.ask_tell_rate(4096, seconds, say),
    ]
    title = f"bench loop: K·P = 256 rows a generation, {bench.threads()} threads"
    measurement.show(title, lines, json_file)


@app.command()
def optimizers(
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="overhead, or efficiency; both without. Repeatable."),
    ] = None,
    problem: Annotated[
        list[str] | None,
        typer.Option("--problem", help="What is searched, such as cnn+vae. Repeatable."),
    ] = None,
    optimizer: Annotated[
        list[str] | None,
        typer.Option(
            "--optimizer", "-o", help="NAME or NAME,PARAMETER=VALUE. Repeatable; some without."
        ),
    ] = None,
    noise: Annotated[
        list[str] | None,
        typer.Option("--noise", help="0, .2, .5 (of a factor), or poisson. Repeatable."),
    ] = None,
    units: Annotated[int, typer.Option(help="Units of each problem.", min=1)] = 4,
    seeds: Annotated[int, typer.Option(help="Searches for each unit.", min=1)] = 5,
    queries: Annotated[int, typer.Option(help="Budget of each search.", min=100)] = 1000,
    dimension: Annotated[
        list[int] | None, typer.Option("--dimension", help="D of the overhead. Repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes at once.", min=1)] = 1,
    assets: Assets = None,
    results: Results = None,
    page: Page = None,
    picture: Annotated[Path | None, typer.Option(help="Also draw the curves (.png).")] = None,
    only_show: Annotated[
        bool, typer.Option("--only-show", help="Measure nothing; show what --results holds.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Which optimizer costs what, and which finds most for a number of queries.

    overhead: ask + tell alone, next to pycma, nevergrad and the limits of the machine.
    efficiency: units of real networks behind real decoders, many seeds, all peers in one run.
    """
    from blackbox_am.bench import optimizers as bench

    if only_show:
        if results is None:
            raise InvalidInput("--only-show needs --results, the file to show")
        bench.show(results, page=page, picture=picture, json_file=json_file)
        return
    request = bench.Request(
        parts=tuple(part or bench.PARTS),
        problems=tuple(problem or bench.PROBLEMS),
        optimizers=tuple(optimizer or bench.OPTIMIZERS),
        noises=tuple(noise or ("0",)),
        units=units,
        seeds=seeds,
        queries=queries,
        dimensions=tuple(dimension or bench.DIMENSIONS),
        jobs=jobs,
        assets=assets,
    )
    bench.run(request, results=results, page=page, picture=picture, json_file=json_file, say=say)


@app.command()
@ends_in_order()
def oracle(
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="stream, call, cache or resnet; all without. Repeatable."),
    ] = None,
    repeats: Annotated[
        int, typer.Option(help="Pairs of each comparison; the median counts.", min=1)
    ] = 9,
    rows: Annotated[int, typer.Option(help="Stimuli in the streamed batch.", min=1)] = 256,
    size: Annotated[int, typer.Option(help="Their height and width.", min=16)] = 224,
    images: Annotated[int, typer.Option(help="Test images for the ResNet-20.", min=1)] = 1000,
    assets: Annotated[
        Path, typer.Option(help="Folder with the ResNet-20 and its test images.")
    ] = Path("../shared/assets"),
    json_file: JsonFile = None,
) -> None:
    """What an oracle costs beside its model: the wire, a call, the cache.

    stream: a large batch through ObserveStream, against bare gRPC that carries the same bytes
    (sink: to the server; echo: there and back), and uint8 against float32.

    call: a small Observe, against a bare call with messages of the same size.

    cache: answers out of the cache, against the shipped network's forward pass.

    resnet: test images that one ResNet-20 gets right behind each kind of oracle.

    Servers run in processes of their own, on this machine. Each number stands next to its
    baseline of the same run; ratios are medians over the repeats, with their quartiles.

        blackbox-am bench oracle --part stream --repeats 15
    """
    from blackbox_am.bench import oracle_kinds, oracles

    parts = list(dict.fromkeys(part or oracles.PARTS))
    oracles.check(parts)
    lacking = oracle_kinds.missing(assets) if "resnet" in parts else []
    if lacking:
        say(f"(d) left out: {assets} lacks {', '.join(lacking)}; --assets names the folder")
        parts.remove("resnet")
    steps = {"resnet": len(oracle_kinds.KINDS)}
    lines: list[measurement.Measurement] = []
    with progress_bar(sum(steps.get(part, repeats + 1) for part in parts)) as tell:
        if "stream" in parts:
            lines += oracles.stream(repeats, rows, size, tell)
        if "call" in parts:
            lines.append(oracles.small_call(repeats, tell))
        if "cache" in parts:
            lines.append(oracles.cache_hit(repeats, 64, tell))
        if "resnet" in parts:
            lines += oracle_kinds.resnet(assets, images, tell)
    measurement.show("bench oracle: loopback, servers in processes of their own", lines, json_file)


@app.command()
def generators(
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="speed, search or basis; the first two without."),
    ] = None,
    generator: Annotated[
        list[str] | None,
        typer.Option(
            "--generator",
            "-g",
            help="By its name, without cifar_; NAME+OPTIMIZER for another than the rest is "
            "searched with: vq_codes+ga. Repeatable; the shipped without.",
        ),
    ] = None,
    oracle: Annotated[
        str, typer.Option(help="cnn, vit, or with --assets resnet20: whose units are searched.")
    ] = "cnn",
    optimizer: Annotated[
        str, typer.Option("--optimizer", "-o", help="NAME or NAME,PARAMETER=VALUE.")
    ] = "sep_cma",
    units: Annotated[int, typer.Option(help="Units of the oracle.", min=1)] = 8,
    seeds: Annotated[int, typer.Option(help="Searches for each unit.", min=1)] = 3,
    queries: Annotated[int, typer.Option(help="Budget of each search.", min=100)] = 1000,
    repeats: Annotated[int, typer.Option(help="Of the measurement of speed.", min=3)] = 9,
    jobs: Annotated[int, typer.Option(help="Searches at once.", min=1)] = 1,
    assets: Assets = None,
    results: Results = None,
    page: Page = None,
    picture: Annotated[
        Path | None, typer.Option(help="Also show the best stimuli of all generators (.png).")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """How fast generators render, and what a search finds in the space of each.

    speed: rows a second next to the bare module, in turn. search: the same units, optimizer and
    budget for all; activation over natural maximum, and how strange what was found looks. basis:
    the same in eigenbases of each generator, scaled, cut off and grown.
    """
    from blackbox_am.bench import generators as bench
    from blackbox_am.bench import problems

    request = bench.Request(
        parts=tuple(part or bench.USUAL),
        oracle=oracle,
        generators=tuple(generator or problems.rendering((3, 32, 32))),
        optimizer=optimizer,
        units=units,
        seeds=seeds,
        queries=queries,
        repeats=repeats,
        jobs=jobs,
        assets=assets,
    )
    bench.run(request, results=results, page=page, picture=picture, json_file=json_file, say=say)


@app.command()
@ends_in_order()
def kill(
    kills: Annotated[int, typer.Option(help="How often the server is killed.", min=1)] = 20,
    queries: Annotated[int, typer.Option(help="Queries of each of four targets.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Kill the server at random moments; the end must be bit-identical to a study left alone."""
    from blackbox_am.bench import kill as bench

    lines = bench.kill(kills, queries, seed, say)
    measurement.show(f"bench kill: SIGKILL x {kills}", lines, json_file)


@app.command()
def kid(
    assets: Annotated[
        Path, typer.Option(help="Folder of the CIFAR-10 pictures and the ResNet-20.")
    ],
    generator: Annotated[
        list[str] | None,
        typer.Option(
            "--generator", "-g", help="By its name. Repeatable; the shipped of pictures without."
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Pictures of each.", min=4, max=10000)] = 1000,
    page: Page = None,
    json_file: JsonFile = None,
) -> None:
    """How far generated pictures are from natural ones: the kernel inception distance."""
    from blackbox_am.bench import kid as bench
    from blackbox_am.bench import problems

    names = generator or problems.rendering((3, 32, 32))
    bench.run(names, assets, count, page, json_file, say)


@app.command()
@ends_in_order()
def inference_servers(
    server: Annotated[
        list[str] | None,
        typer.Option("--server", help="mlserver, kserve or triton; all without. Repeatable."),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option("--protocol", help="grpc or http; both without. Repeatable."),
    ] = None,
    rows: Annotated[
        int, typer.Option(help="Stimuli of 3 x 32 x 32 in a request.", min=1, max=32)
    ] = 32,
    repeats: Annotated[int, typer.Option(help="Turns of each client.", min=1)] = 9,
    requests: Annotated[int, typer.Option(help="Requests in a turn.", min=1)] = 40,
    json_file: JsonFile = None,
) -> None:
    """The oracle inference_protocol next to the clients of MLServer, KServe and Triton.

    Rows a second of ours (value) and of theirs (baseline), by turns, on real servers that run
    here on the processor. The first run installs each server into an environment of its own, of
    some 100 MB to 1 GB and a minute or two, in the user's cache folder or where
    BLACKBOX_AM_INFERENCE_SERVERS says. A ratio above 1 means that ours is faster.

    Example: blackbox-am bench inference-servers --server triton --protocol grpc --rows 1
    """
    from blackbox_am.bench import inference_servers as bench
    from blackbox_am.testing.inference_servers.environments import PACKAGES

    kinds, ways = tuple(server or PACKAGES), tuple(protocol or ("grpc", "http"))
    for given, known, name in ((kinds, PACKAGES, "server"), (ways, ("grpc", "http"), "protocol")):
        for one in given:
            if one not in known:
                raise InvalidInput(f"--{name}: there is no {one!r}{did_you_mean(one, known)}")
    lines = bench.measure(kinds, ways, rows, repeats, requests, say)
    title = f"bench inference-servers: {repeats} turns of {requests} requests"
    measurement.show(title, lines, json_file)
