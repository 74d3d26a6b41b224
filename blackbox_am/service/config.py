"""Configuration of a server: a TOML file, or the same in Python.

::

    [server]
    address = "localhost:50051"
    store = "studies.sqlite3"
    workers = 2

    [oracles.my_model]
    kind = "remote"
    target = "gpu-box:50052"

    [[oracles.my_model.wrap]]       # the first is next to the model ...
    kind = "retry"

    [[oracles.my_model.wrap]]
    kind = "cache"
    path = "answers.sqlite3"

    [[oracles.my_model.wrap]]       # ... and the study calls the last
    kind = "quantise"

    [generators.pixels]
    kind = "pixels"
    shape = [1, 28, 28]

    [generators.grey]
    kind = "diffusers_vae"

    [[generators.grey.wrap]]        # the first changes the generator's stimuli ...
    kind = "resize"
    size = [28, 28]

    [[generators.grey.wrap]]        # ... and the last gives the oracle's stimuli
    kind = "colour"
    channels = "grey"

    [quotas.default]                # of each principal without a quota of its own
    studies = 50
    requests_per_second = 100

    [images.photos]                 # natural images, as the baseline of studies
    folder = "/data/photos"

The order of wrappers matters. Here a stimulus is rounded first, then looked up in the cache. Only
missing answers are requested from the model, several times if necessary. A `quota` directly around
the model bills each attempt; around `retry`, it bills each call; around `cache`, it bills cache
hits too. A `timeout` belongs inside `retry`, a `circuit_breaker` outside.

`catalogue.config_file` describes environment variables, relative paths and modules in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from blackbox_am.catalogue import Catalogue, with_shipped
from blackbox_am.catalogue.config_file import read_tables
from blackbox_am.core.addresses import with_port
from blackbox_am.core.spec import from_plain
from blackbox_am.errors import InvalidSpec, did_you_mean
from blackbox_am.service.auth.quotas import Quota
from blackbox_am.service.auth.transport import ServerTls

DEFAULT_ADDRESS = "localhost:50051"
DEFAULT_STORE = "blackbox_am.sqlite3"
DEFAULT_WORKERS = 2
LARGEST_PORT = 65535
DEFAULT_MESSAGE_BYTES = 4 * 2**20
DEFAULT_ORACLE_SECONDS = 600.0
DEFAULT_RETRY_DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0)

_TABLES = ("server", "oracles", "generators", "images", "quotas")


@dataclass(frozen=True)
class Config:
    """The configuration of a server.

    Attributes:
        address: host:port to listen on; port 0 picks a free one, and without a port it is 50051.
        store: path or URL of the journal.
        workers: number of studies that run at once on one oracle; further studies wait.
        device: device of optimizers and generators: `cpu`, `cuda`, or `auto`.
        max_message_bytes: largest accepted request, in bytes.
        retry_delays: seconds before each new attempt while an oracle is unavailable; afterwards the
            study is paused.
        catalogue: the oracles, generators and sets of images that callers may name.
        tls: how connections are encrypted.
        insecure: whether other machines may reach a server without encryption or tokens.
        audit_log: file to which changes and refused calls are written; None for none.
        quotas: what principals may use, by name; `default` for all others.
        oracle_seconds: time limit of one call of an oracle without a `timeout` wrapper.
        memory_bytes: memory for the calls and studies of the server together; 0 for half of the
            memory of the machine or container.
        metrics_address: host:port for metrics in Prometheus' format; empty for none.
    """

    address: str = DEFAULT_ADDRESS
    store: str = DEFAULT_STORE
    workers: int = DEFAULT_WORKERS
    device: str = "auto"
    max_message_bytes: int = DEFAULT_MESSAGE_BYTES
    retry_delays: tuple[float, ...] = DEFAULT_RETRY_DELAYS
    catalogue: Catalogue = field(default_factory=Catalogue.default)
    tls: ServerTls = field(default_factory=ServerTls)
    insecure: bool = False
    audit_log: Path | None = None
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    oracle_seconds: float = DEFAULT_ORACLE_SECONDS
    memory_bytes: int = 0
    metrics_address: str = ""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InvalidSpec(f"workers must be 1 or more, got {self.workers}", field="workers")
        object.__setattr__(self, "address", with_port(self.address))
        port = self.address.rpartition(":")[2]
        if port.isdecimal() and int(port) > LARGEST_PORT:
            raise InvalidSpec(
                f"address: a port is a number from 0 to {LARGEST_PORT}, got {self.address!r}",
                field="address",
            )


class ServerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[server]` table. `shipped`: whether the models of the zoo are in the catalogue."""

    address: str = DEFAULT_ADDRESS
    store: str = DEFAULT_STORE
    workers: Annotated[int, msgspec.Meta(ge=1, le=1024)] = DEFAULT_WORKERS
    device: str = "auto"
    max_message_bytes: Annotated[int, msgspec.Meta(ge=2**16, le=2**31 - 1)] = DEFAULT_MESSAGE_BYTES
    retry_delays: tuple[Annotated[float, msgspec.Meta(ge=0)], ...] = DEFAULT_RETRY_DELAYS
    shipped: bool = True
    tls_certificate: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    insecure: bool = False
    audit_log: str = ""
    oracle_seconds: Annotated[float, msgspec.Meta(gt=0)] = DEFAULT_ORACLE_SECONDS
    memory_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    metrics_address: str = ""


def load_config(path: Path) -> Config:
    """The configuration in a TOML file.

    `[server]` takes the fields of `Config`, the files `tls_certificate`, `tls_key` and
    `tls_client_ca`, and `shipped` (true: the models of the zoo are in the
    catalogue too; an entry with the same name replaces a model of the zoo).

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if the file is not TOML, or a key or value is wrong.
    """
    tables = read_tables(path)
    try:
        return _from_tables(tables)
    except InvalidSpec as error:
        raise InvalidSpec(f"{path}: {error.message}", field=error.field) from error


def _from_tables(tables: dict[str, Any]) -> Config:
    for key in tables:
        if key not in _TABLES:
            near = did_you_mean(key, _TABLES)
            raise InvalidSpec(f"unknown table or key {key!r}{near}", field=key)
    plain = tables.get("server", {})
    if not isinstance(plain, dict):
        raise InvalidSpec("[server] must be a table", field="server")
    known = ServerTable.__struct_fields__
    for key in plain:
        if key not in known:
            near = did_you_mean(key, known)
            raise InvalidSpec(f"[server] has no key {key!r}{near}", field=f"server.{key}")
    server = from_plain(ServerTable, plain)
    quotas = _quotas(tables.pop("quotas", {}))
    return Config(
        server.address,
        server.store,
        server.workers,
        server.device,
        server.max_message_bytes,
        server.retry_delays,
        Catalogue.from_plain(with_shipped(tables) if server.shipped else tables),
        ServerTls(server.tls_certificate, server.tls_key, server.tls_client_ca),
        server.insecure,
        Path(server.audit_log) if server.audit_log else None,
        quotas,
        server.oracle_seconds,
        server.memory_bytes,
        server.metrics_address,
    )


def _quotas(plain: Any) -> dict[str, Quota]:
    if not isinstance(plain, dict):
        raise InvalidSpec("[quotas] must be a table", field="quotas")
    found = {}
    for name, limits in plain.items():
        known = Quota.__struct_fields__
        for key in limits if isinstance(limits, dict) else ():
            if key not in known:
                near = did_you_mean(key, known)
                raise InvalidSpec(
                    f"[quotas.{name}] has no key {key!r}{near}", field=f"quotas.{name}.{key}"
                )
        try:
            found[name] = from_plain(Quota, limits)
        except InvalidSpec as error:
            field = f"quotas.{name}" + (f".{error.field}" if error.field else "")
            raise InvalidSpec(f"[quotas.{name}]: {error.message}", field=field) from error
    return found
