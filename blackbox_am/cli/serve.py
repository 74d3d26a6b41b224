"""`blackbox-am serve`: runs a server until a signal stops it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blackbox_am.cli.console import err
from blackbox_am.errors import InvalidInput

if TYPE_CHECKING:
    from blackbox_am.service.logs import LogFormat


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="TOML file as shown above.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option("--address", "-a", help="host:port to listen on; port 0 selects a free port."),
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="SQLite file or PostgreSQL URL of the journal.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Number of studies that run at once on one oracle."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Device of the computation: cpu, cuda, or auto.")
    ] = None,
    tls_certificate: Annotated[
        str | None,
        typer.Option("--tls-certificate", help="File with the server's certificate (PEM)."),
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option("--tls-key", help="File with the key of the certificate (PEM).")
    ] = None,
    tls_client_ca: Annotated[
        str | None,
        typer.Option(
            "--tls-client-ca",
            help="File with the authorities (PEM) that must have signed a client's certificate.",
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="Let other machines reach a server without encryption or tokens. Everybody who "
            "reaches it can then read, change and delete every study.",
        ),
    ] = False,
    audit_log: Annotated[
        Path | None,
        typer.Option(
            "--audit-log", help="Add a line of JSON to this file for each change and refused call."
        ),
    ] = None,
    metrics_address: Annotated[
        str | None,
        typer.Option(
            "--metrics-address",
            help="Serve metrics for Prometheus on this host:port, such as localhost:9464, without "
            "encryption or tokens.",
        ),
    ] = None,
    log_format: Annotated[
        str,
        typer.Option(
            "--log-format",
            metavar="console|json",
            help="console: lines for people; json: one JSON object a line, for a log collector.",
        ),
    ] = "console",
    ready_file: Annotated[
        Path | None,
        typer.Option(
            "--ready-file", help="Write the address to this file when the server is ready."
        ),
    ] = None,
) -> None:
    """Serve oracles, generators and studies over gRPC.

    Without --config the server offers the small models of the package. The store contains
    every measurement: running studies continue when the server starts again. Ctrl-C or
    SIGTERM stops the server cleanly. Options override the file.

    A server that other machines reach needs TLS and tokens (`blackbox-am token create`). Its
    certificate files can be replaced while it runs. An example of the file:

        [server]
        address = "0.0.0.0:50051"
        store = "studies.sqlite3"
        workers = 4                  # studies that run at once on one oracle
        oracle_seconds = 600         # a call that takes longer is given up, and its study pauses
        tls_certificate = "/etc/blackbox-am/server.pem"
        tls_key = "/etc/blackbox-am/server.key"
        audit_log = "audit.jsonl"

        [quotas.default]             # of each caller with a token
        studies = 100
        requests_per_second = 50

        [oracles.my_model]
        kind = "remote"
        target = "gpu-box:50052"

        [[oracles.my_model.wrap]]    # inner wrapper: each call of the model has 5 attempts
        kind = "retry"
        attempts = 5

        [[oracles.my_model.wrap]]    # outer wrapper: known answers need no call
        kind = "cache"
        path = "answers.sqlite3"

        [oracles.my_resnet]          # on Triton, KServe or MLServer, which describe the model
        kind = "inference_protocol"
        target = "triton:8001"
        model = "resnet50"

        [generators.my_pixels]
        kind = "pixels"
        shape = [1, 28, 28]
    """
    from blackbox_am import service
    from blackbox_am.service.ending import keeps_running, leave
    from blackbox_am.service.logs import LogFormat, set_up

    given: dict[str, Any] = {
        "address": address,
        "store": store,
        "workers": workers,
        "device": device,
        "insecure": insecure or None,
        "audit_log": audit_log,
        "metrics_address": metrics_address,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    base = service.Config() if config is None else service.load_config(config)
    files = {"certificate": tls_certificate, "key": tls_key, "client_ca": tls_client_ca}
    given_files = {name: value for name, value in files.items() if value is not None}
    chosen["tls"] = dataclasses.replace(base.tls, **given_files)
    form = _log_format(log_format)
    set_up(form)

    def say(text: str) -> None:
        if form is LogFormat.CONSOLE:  # otherwise the log says it
            err.print(text, markup=False, highlight=False)

    def ready(listening: str) -> None:
        say(f"listening on {listening}; stop with Ctrl-C")
        if ready_file is not None:
            write_at_once(ready_file, listening)

    if ready_file is not None:
        ready_file.unlink(missing_ok=True)  # of a server that was killed
    ended = service.serve(dataclasses.replace(base, **chosen), ready=ready)
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
    say("stopped; running studies continue at the next start")
    if not ended or keeps_running():
        leave()


def _log_format(text: str) -> LogFormat:
    from blackbox_am.service.logs import LogFormat

    try:
        return LogFormat(text)
    except ValueError:
        raise InvalidInput(f"--log-format: expected console or json, got {text!r}") from None


def write_at_once(path: Path, text: str) -> None:
    """Write the file atomically, so that a waiting process never reads an incomplete file."""
    part = path.with_name(path.name + ".part")
    part.write_text(text + "\n", "utf-8")
    part.replace(path)
