"""`blackbox-am compare`: gradients against gradient-free search, and the report about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from blackbox_am.cli.compare_example import EXAMPLE
from blackbox_am.cli.compare_progress import CompareView
from blackbox_am.cli.connecting import access, connect, secured
from blackbox_am.cli.console import err, out, plain, wrote
from blackbox_am.cli.failures import interrupted
from blackbox_am.errors import InvalidInput

if TYPE_CHECKING:
    from blackbox_am.catalogue import Catalogue
    from blackbox_am.comparisons.problem import ComparisonSpec
    from blackbox_am.comparisons.results import ComparisonResult


@secured
def compare(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="CONFIG", help="TOML file of the comparison; see --example."),
    ] = None,
    folder: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder of the report, and of the journal."),
    ] = Path("comparison"),
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--methods",
            "-m",
            help="Compare this method of CONFIG, or this optimizer; can be repeated.",
        ),
    ] = None,
    units: Annotated[
        list[str] | None,
        typer.Option("--units", "-u", help="Search this unit; can be repeated."),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            "--budget",
            min=1,
            help="Query-equivalents of each method, unit and seed: 1 for a "
            "forward pass, 2 for a forward and a backward pass.",
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Number of seeds.")] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="A first look: one unit of each layer, one seed, 200 equivalents."
        ),
    ] = False,
    stored: Annotated[
        bool,
        typer.Option(
            "--stored", help="Search nothing more: write the report of what the journal has."
        ),
    ] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print a CONFIG with comments, and do nothing.")
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(
            "--server",
            "-s",
            help="Run the searches on this server, host:port, as a group of studies. CONFIG names "
            "the server's models, and the generator here as well.",
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, or auto.")] = "auto",
) -> None:
    """Compare search methods, such as gradient ascent with gradient-free search.

    All methods search the same units with the same generator, start distribution and budget, with
    several seeds. The report says what gradients would have found, and what it costs to do without
    them; it names each rule of a fair comparison that CONFIG does not keep. A method that needs
    gradients is shown as unavailable where there are none.

    The journal lies in the folder of the report, so after Ctrl-C or a crash the same command goes
    on, with the same result. A CONFIG with further methods or seeds keeps the searches that it has.

    For example:

        blackbox-am compare --example > cifar.toml
        blackbox-am compare cifar.toml --quick --out first-look/
        blackbox-am compare cifar.toml --out comparison/
    """
    if example:
        plain(EXAMPLE.rstrip())
        return
    if config is None:
        raise InvalidInput(
            "expected a CONFIG; `blackbox-am compare --example > cifar.toml` writes one to begin "
            "with"
        )
    from blackbox_am.comparisons.reading import changed, read_config
    from blackbox_am.comparisons.report.writing import PAGE
    from blackbox_am.comparisons.saving import write_all

    spec, catalogue = read_config(config)
    spec = changed(
        spec,
        methods=methods or (),
        units=units or (),
        budget=budget,
        seeds=seeds,
        quick=quick,
    )
    try:
        with CompareView(err) as view:
            if server is None:
                result = _here(spec, catalogue, device, folder, view, measure=not stored)
            else:
                result = _there(server, spec, catalogue, device, view, measure=not stored)
                write_all(result, folder)
    except KeyboardInterrupt:
        raise interrupted(f"; the server of {server} goes on" if server else "") from None
    out.print(summary_table(result))
    for warning in result.warnings:
        err.print(warning, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if not result.complete:
        err.print(
            "the comparison is not complete; the same command without --stored goes on",
            style="yellow",
            markup=False,
        )
    wrote(folder / PAGE)


def _here(
    spec: ComparisonSpec,
    catalogue: Catalogue,
    device: str,
    folder: Path,
    view: CompareView,
    *,
    measure: bool,
) -> ComparisonResult:
    """The comparison in this process, with its journal in `folder`."""
    from blackbox_am.comparisons.local import compare_as, models_of

    return compare_as(
        spec,
        models=models_of(spec, catalogue, device),
        out=folder,
        measure=measure,
        on_progress=view.show,
        on_message=lambda text: err.print(text, markup=False, soft_wrap=True),
    )


def _there(
    server: str,
    spec: ComparisonSpec,
    catalogue: Catalogue,
    device: str,
    view: CompareView,
    *,
    measure: bool,
) -> ComparisonResult:
    """The comparison on a server. What was found is examined by models of this process."""
    from blackbox_am.client import comparisons
    from blackbox_am.comparisons.local import examined, models_of
    from blackbox_am.oracles.grpc.remote import Remote

    oracle = Remote(server, oracle=spec.oracle, **access().of_oracle())
    models = models_of(spec, catalogue, device, oracle=oracle)
    with connect(server) as client:
        compared = comparisons.compare(
            client,
            spec,
            natural=models.stimuli(spec),
            measure=measure,
            on_progress=view.show,
        )
    return examined(compared, models)


def summary_table(result: ComparisonResult) -> Table:
    """One line for each method: medians over units of the medians over seeds."""
    from blackbox_am.comparisons.metrics import metrics

    numbers = metrics(result).by_method
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("method", no_wrap=True)
    for column in ("rows", "x natural max", f"x {result.baseline}", "gap closed", "seconds"):
        table.add_column(column, justify="right")
    for method in result.methods:
        found = numbers.get(method.name)
        if found is None:
            table.add_row(Text(method.name), Text("unavailable" if method.unavailable else "-"))
            continue
        table.add_row(
            Text(method.name),
            f"{found.numbers.rows:,.0f}",
            f"{found.numbers.relative:.3g}",
            f"{found.numbers.of_gradient:.3g}",
            f"{found.numbers.gap_closed:.3g}",
            f"{found.seconds:,.1f}",
        )
    return table
