"""The `bench` commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from blackbox_am.bench import measurement
from blackbox_am.bench.attacks import attacks
from blackbox_am.bench.clients import clients
from blackbox_am.bench.gradients import gradients
from blackbox_am.bench.noise import noise
from blackbox_am.bench.options import Assets, JsonFile, Page, Problems, Results, Seeds, Units
from blackbox_am.bench.progress import progress_bar, say
from blackbox_am.bench.termination import ends_in_order
from blackbox_am.errors import InvalidInput, did_you_mean

app = typer.Typer(
    no_args_is_help=True,
    help="Benchmarks: every command prints a table of ratios to a baseline of the same run.",
)


@app.command()
@ends_in_order()
def loop(
    part: Annotated[
        list[str] | None, typer.Option("--part", help="a, b, c, d or e; default all. Repeatable.")
    ] = None,
    generations: Annotated[int, typer.Option(help="Generations in (a) and (d).", min=2)] = 24,
    repeats: Annotated[int, typer.Option(help="Studies of each kind in (b), (e).", min=1)] = 12,
    seconds: Annotated[float, typer.Option(help="Seconds for each rate in (c).", min=0.1)] = 10.0,
    json_file: JsonFile = None,
) -> None:
    """Measure the overhead of a study: its loop, the network, ask and tell.

    (a) time of a study over that of oracle and generator alone; (b) time over loopback against that
    in one process; (c) candidates a second through ask and tell, with a durable journal; (d) as (a)
    for other numbers of targets, and oracle rows over search rows; (e) time by how threads wait.
    """
    from blackbox_am.bench import local_loop, waiting
    from blackbox_am.bench import loop as bench

    ways: dict[str, Callable[[], list[measurement.Measurement]]] = {
        "a": lambda: local_loop.study_overhead(generations, say),
        "b": lambda: [bench.wire_overhead(repeats, 6, say)],
        "c": lambda: [bench.ask_tell_rate(dimension, seconds, say) for dimension in (512, 4096)],
        "d": lambda: local_loop.target_numbers(generations, say),
        "e": lambda: waiting.measure(repeats, say),
    }
    chosen = part or list(ways)
    for name in chosen:
        if name not in ways:
            raise InvalidInput(f"--part: unknown part {name!r}; expected {', '.join(ways)}")
    lines = [line for name in chosen for line in ways[name]()]
    title = f"bench loop: (a), (b) 256 rows a generation; {local_loop.threads()} threads"
    measurement.show(title, lines, json_file)


for command in (noise, attacks, gradients, clients):
    app.command()(command)


@app.command()
def alignment(
    repeats: Annotated[int, typer.Option(help="Runs of each way to compute.", min=1)] = 5,
    json_file: JsonFile = None,
) -> None:
    """Measure what it costs that bits do not depend on memory addresses.

    The ratio is the time with MKL's reproducible mode, or with copies to aligned memory, over the
    time without a guard.
    """
    from blackbox_am.bench import alignment as bench
    from blackbox_am.core.linear_algebra import numerics

    lines = bench.measure(repeats, say)
    measurement.show(f"bench alignment: {numerics()}", lines, json_file)


@app.command()
def devices(
    repeats: Annotated[int, typer.Option(help="Repeats of each measurement.", min=1)] = 3,
    json_file: JsonFile = None,
) -> None:
    """Measure a CUDA device against the CPU: ask and tell of optimizers, and whole studies.

    The ratio is the rate on CUDA over the rate on the CPU of the same machine.
    """
    from blackbox_am.bench import devices as bench

    lines = bench.measure(bench.Size(repeats=repeats), say)
    measurement.show(f"bench devices: {bench.names()}", lines, json_file)


@app.command()
def optimizers(
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="overhead or efficiency; default both. Repeatable."),
    ] = None,
    problem: Problems = None,
    optimizer: Annotated[
        list[str] | None,
        typer.Option(
            "--optimizer",
            "-o",
            help="NAME or NAME,PARAMETER=VALUE, with naturals=N N encoded natural images first; "
            "overhead measures these and their peers; default a selection. Repeatable.",
        ),
    ] = None,
    noise: Annotated[
        list[str] | None,
        typer.Option(
            "--noise",
            help="Deviation of a random factor, such as 0 or .5, or poisson. Repeatable.",
        ),
    ] = None,
    units: Units = 4,
    first_unit: Annotated[
        int, typer.Option(help="Number of units to leave out before these.", min=0)
    ] = 0,
    seeds: Seeds = 5,
    queries: Annotated[int, typer.Option(help="Budget of each search.", min=100)] = 1000,
    dimension: Annotated[
        list[int] | None,
        typer.Option("--dimension", help="Latent dimension D of the overhead. Repeatable."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Number of processes.", min=1)] = 1,
    assets: Assets = None,
    results: Results = None,
    page: Page = None,
    picture: Annotated[Path | None, typer.Option(help="Also draw the curves (.png).")] = None,
    only_show: Annotated[
        bool, typer.Option("--only-show", help="Measure nothing; show the file --results.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Measure the overhead and the query efficiency of optimizers.

    overhead: the time of ask and tell, compared with pycma, nevergrad and the limits of the
    machine.

    efficiency: the activation found for a number of queries, for units of real networks behind
    real decoders, with many seeds and all optimizers in one run.
    """
    from blackbox_am.bench import optimizers as bench

    if only_show:
        if results is None:
            raise InvalidInput("--only-show needs --results FILE, the results to show")
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
        first=first_unit,
    )
    bench.run(request, results=results, page=page, picture=picture, json_file=json_file, say=say)


@app.command()
@ends_in_order()
def oracle(
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part", help="stream, call, cache, resnet or layers; default all. Repeatable."
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option(help="Pairs of each comparison; the table shows medians.", min=1)
    ] = 9,
    rows: Annotated[int, typer.Option(help="Stimuli in the streamed batch.", min=1)] = 256,
    size: Annotated[int, typer.Option(help="Height and width of a stimulus.", min=16)] = 224,
    images: Annotated[int, typer.Option(help="Test images for the ResNet-20.", min=1)] = 1000,
    assets: Annotated[
        Path, typer.Option(help="Folder with the ResNet-20 and its test images.")
    ] = Path("../shared/assets"),
    json_file: JsonFile = None,
) -> None:
    """Measure the overhead of oracles: the network, a single call, the cache.

    stream: a large batch through ObserveStream, compared with bare gRPC that transfers the same
    bytes (sink: to the server; echo: to the server and back), and uint8 compared with float32.

    call: a small Observe, compared with a bare gRPC call with messages of the same size.

    cache: answers from the cache, compared with the forward pass of the shipped network.

    resnet: number of test images that a ResNet-20 classifies correctly through each kind of
    oracle.

    layers: rows a second where one layer and where twelve layers of the shipped CNN are read, by
    ONNX Runtime and by torch.

    Servers run in separate processes on this machine. The table shows each number with its
    baseline of the same run; ratios are medians over the repeats, with their quartiles.

        blackbox-am bench oracle --part stream --repeats 15
    """
    from blackbox_am.bench import layers, oracle_kinds, oracles

    parts = list(dict.fromkeys(part or oracles.PARTS))
    oracles.check(parts)
    lacking = oracle_kinds.missing(assets) if "resnet" in parts else []
    if lacking:
        say(f"(d) skipped: {assets} lacks {', '.join(lacking)}; --assets names the folder")
        parts.remove("resnet")
    steps = {
        "resnet": len(oracle_kinds.KINDS),
        "layers": len(layers.CHOICES) * (repeats + 1),
    }
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
        if "layers" in parts:
            lines += layers.layers(repeats, 64, tell)
    measurement.show("bench oracle: loopback, servers in separate processes", lines, json_file)


@app.command()
def generators(
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="speed, search, basis or encode; default speed and search."),
    ] = None,
    generator: Annotated[
        list[str] | None,
        typer.Option(
            "--generator",
            "-g",
            help="NAME without cifar_, or NAME+OPTIMIZER to search this generator with another "
            "optimizer: vq_codes+ga. Default: all shipped generators. Repeatable.",
        ),
    ] = None,
    oracle: Annotated[
        str,
        typer.Option(help="Model of the units: cnn, vit, or with --assets resnet20 or squeezenet."),
    ] = "cnn",
    optimizer: Annotated[
        str, typer.Option("--optimizer", "-o", help="NAME or NAME,PARAMETER=VALUE.")
    ] = "sep_cma",
    units: Annotated[int, typer.Option(help="Units of the oracle.", min=1)] = 8,
    seeds: Seeds = 3,
    queries: Annotated[int, typer.Option(help="Budget of each search.", min=100)] = 1000,
    repeats: Annotated[int, typer.Option(help="Repeats of the speed measurement.", min=3)] = 9,
    jobs: Annotated[int, typer.Option(help="Number of searches at once.", min=1)] = 1,
    assets: Assets = None,
    results: Results = None,
    page: Page = None,
    picture: Annotated[
        Path | None, typer.Option(help="Also draw the best stimuli of all generators (.png).")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Measure how fast generators render, and what a search finds in their latent spaces.

    speed: rows a second, compared with the bare module. Both are measured in turn.

    search: activation over natural maximum for the same units, optimizer and budget, and the
    distance of the best stimuli to natural images. With --results, a stopped search continues.

    basis: the same search in eigenbases of each generator: scaled, truncated and growing.

    encode: natural images, encoded and rendered by the generators that have an encoder.
    """
    from blackbox_am.bench import generators as bench
    from blackbox_am.bench import problems

    request = bench.Request(
        parts=tuple(part or bench.USUAL),
        oracle=oracle,
        generators=tuple(generator or problems.usual_generators(oracle)),
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
    kills: Annotated[int, typer.Option(help="Number of kills.", min=1)] = 20,
    queries: Annotated[int, typer.Option(help="Queries of each of four targets.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the random moments.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Kill the server at random moments and compare the study with an uninterrupted study.

    The two results must be equal to the last bit.
    """
    from blackbox_am.bench import kill as bench

    lines = bench.kill(kills, queries, seed, say)
    measurement.show(f"bench kill: SIGKILL x {kills}", lines, json_file)


@app.command()
def kid(
    assets: Annotated[Path, typer.Option(help="Folder of CIFAR-10 pictures and ResNet-20.")],
    generator: Annotated[
        list[str] | None,
        typer.Option("--generator", "-g", help="NAME; default all picture generators. Repeatable."),
    ] = None,
    count: Annotated[int, typer.Option(help="Pictures of each one.", min=4, max=10000)] = 1000,
    page: Page = None,
    json_file: JsonFile = None,
) -> None:
    """Measure the kernel inception distance of generated pictures to natural pictures."""
    from blackbox_am.bench import kid as bench
    from blackbox_am.bench import problems

    names = generator or problems.rendering((3, 32, 32))
    bench.run(names, assets, count, page, json_file, say)


@app.command()
@ends_in_order()
def inference_servers(
    server: Annotated[
        list[str] | None,
        typer.Option("--server", help="mlserver, kserve or triton; default all. Repeatable."),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option("--protocol", help="grpc or http; default both. Repeatable."),
    ] = None,
    rows: Annotated[
        int, typer.Option(help="Stimuli of 3 x 32 x 32 in a request.", min=1, max=32)
    ] = 32,
    repeats: Annotated[int, typer.Option(help="Turns of each client.", min=1)] = 9,
    requests: Annotated[int, typer.Option(help="Requests in a turn.", min=1)] = 40,
    json_file: JsonFile = None,
) -> None:
    """Compare the oracle inference_protocol with the clients of MLServer, KServe and Triton.

    The table shows the rows a second of the oracle (value) and of the server's own client
    (baseline), measured in turn on real servers on this machine's CPU. A ratio above 1 means
    that the oracle is faster. The first run installs each server into a virtual environment in
    the user's cache folder, or in the folder BLACKBOX_AM_INFERENCE_SERVERS; this takes one or two
    minutes and 100 MB to 1 GB for each server.

    Example: blackbox-am bench inference-servers --server triton --protocol grpc --rows 1
    """
    from blackbox_am.bench import inference_servers as bench
    from blackbox_am.testing.inference_servers.environments import PACKAGES

    kinds, ways = tuple(server or PACKAGES), tuple(protocol or ("grpc", "http"))
    for given, known, name in ((kinds, PACKAGES, "server"), (ways, ("grpc", "http"), "protocol")):
        for value in given:
            if value not in known:
                raise InvalidInput(
                    f"--{name}: unknown {name} {value!r}{did_you_mean(value, known)}"
                )
    lines = bench.measure(kinds, ways, rows, repeats, requests, say)
    title = f"bench inference-servers: {repeats} turns of {requests} requests"
    measurement.show(title, lines, json_file)


@app.command()
@ends_in_order()
def service(
    studies: Annotated[int, typer.Option(help="Finished studies of the store.", min=1)] = 10_000,
    idle: Annotated[int, typer.Option(help="Idle studies of clients.", min=1)] = 1_000,
    json_file: JsonFile = None,
) -> None:
    """Measure a server with many studies.

    (a) start on a store of finished studies, compared with an empty store; (b) calls that only
    read while an optimizer takes seconds, compared with an idle server; (c) memory for idle
    studies of clients.
    """
    from blackbox_am.bench import service as bench

    lines = [*bench.start_up(studies, say), *bench.reading(say), bench.idle_memory(idle, say)]
    measurement.show("bench service", lines, json_file)
