"""The single checks: packages, device, memory, store, addresses, certificates, models."""

from __future__ import annotations

import errno
import importlib.metadata
import platform
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.util import find_spec

import torch

from blackbox_am.catalogue import SHIPPED
from blackbox_am.core.devices import resolve_device
from blackbox_am.errors import BlackboxError
from blackbox_am.service.auth.transport import check_exposure
from blackbox_am.service.config import Config
from blackbox_am.service.doctor.certificates import days_left
from blackbox_am.service.memory import default_limit
from blackbox_am.stores import SQLStore
from blackbox_am.stores.engines import file_of, url_of
from blackbox_am.version import __version__

EXTRAS = {
    "analysis": "captum",
    "dashboard": "uvicorn",
    "docs": "mkdocs",
    "hf": "transformers",
    "http": "httpx",
    "metrics": "prometheus_client",
    "onnx": "onnxruntime",
    "parquet": "pyarrow",
    "postgresql": "psycopg",
    "results": "xarray",
    "sklearn": "sklearn",
    "snn": "snntorch",
}
"""An importable package of each optional dependency group."""
FEW_BYTES = 2**30
"""Less room on a disk, or less memory, is worth a warning."""
SOON_DAYS = 14.0
"""A certificate that expires sooner is worth a warning."""


class Level(StrEnum):
    """How good a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes:
        about: what was checked, such as `store`.
        level: `fault` if a server cannot start or work with it.
        what: what was found, and what to do if it is not ok.
    """

    about: str
    level: Level
    what: str


def examine(config: Config, *, models: bool = True) -> Iterator[Finding]:
    """Checks this machine and a configuration. Nothing is changed; a store is not made.

    Args:
        config: the configuration of a server that does not run here now.
        models: whether to load every entry of the configuration's own.
    """
    yield _python()
    yield from _extras()
    yield _checked("device", lambda: _device(config.device))
    yield _memory(config)
    yield _checked("store", lambda: _store(config.store))
    yield from _disk(config.store)
    yield _checked("address", lambda: _address(config.address, "address"))
    yield _checked("exposure", lambda: _exposure(config))
    if config.metrics_address:
        yield _checked("metrics", lambda: _address(config.metrics_address, "metrics_address"))
    if config.tls.on:
        yield _checked("certificate", lambda: _certificate(config))
    if models:
        yield from _models(config)


def _checked(about: str, check: Callable[[], Finding | str]) -> Finding:
    """The finding of a check; its error is a fault."""
    try:
        found = check()
    except BlackboxError as error:
        return Finding(about, Level.FAULT, error.message)
    return found if isinstance(found, Finding) else Finding(about, Level.OK, found)


def _python() -> Finding:
    numpy = importlib.metadata.version("numpy")
    grpc = importlib.metadata.version("grpcio")
    what = (
        f"blackbox-am {__version__}, Python {platform.python_version()} on {platform.system()} "
        f"{platform.machine()}, torch {torch.__version__}, numpy {numpy}, grpcio {grpc}"
    )
    return Finding("python", Level.OK, what)


def _extras() -> Iterator[Finding]:
    present = [extra for extra, package in EXTRAS.items() if find_spec(package) is not None]
    absent = sorted(EXTRAS.keys() - set(present))
    what = f"installed: {', '.join(present) or 'none'}"
    if absent:
        what += f"; not installed: {', '.join(absent)} (pip install 'blackbox-am[{absent[0]}]')"
    yield Finding("extras", Level.OK, what)


def _device(device: str) -> Finding:
    name = resolve_device(device)
    if name.startswith("cuda"):
        free, total = torch.cuda.mem_get_info(name)
        shown = f"{torch.cuda.get_device_name(name)}, {_size(free)} of {_size(total)} free"
        return Finding("device", Level.WARNING if free < FEW_BYTES else Level.OK, shown)
    shown = f"{name}, {torch.get_num_threads()} threads"
    if device == "auto" and torch.version.cuda is not None:
        return Finding(
            "device",
            Level.WARNING,
            f"{shown}: this torch is built for CUDA {torch.version.cuda}, and there is no graphics "
            'card that it can use; check the driver with nvidia-smi, or set device = "cpu"',
        )
    return Finding("device", Level.OK, shown)


def _memory(config: Config) -> Finding:
    half, limit = default_limit(), config.memory_bytes or default_limit()
    shown = f"{_size(limit)} for calls and studies, of {_size(2 * half)}"
    if limit > 2 * half:
        more = f"{shown}: more than there is; lower memory_bytes"
        return Finding("memory", Level.FAULT, more)
    return Finding("memory", Level.WARNING if limit < FEW_BYTES else Level.OK, shown)


def _store(url: str) -> str:
    file = file_of(url_of(url))
    if file is not None and not file.path.exists():
        file.check_before()
        return f"{file.path} does not exist yet; the server makes it"
    store = SQLStore(url)
    try:
        states = store.count_by_state()
    finally:
        store.close()
    return f"{store.url}: {sum(states.values())} studies" + "".join(
        f", {number} {state}" for state, number in sorted(states.items())
    )


def _disk(url: str) -> Iterator[Finding]:
    try:
        file = file_of(url_of(url))
    except BlackboxError:
        return  # the finding about the store says it
    if file is not None and file.path.parent.is_dir():
        free = shutil.disk_usage(file.path.parent).free
        where = f"{_size(free)} free in {file.path.parent.resolve()}"
        if free < FEW_BYTES:
            yield Finding("disk", Level.WARNING, f"{where}; journals grow, so make room")
        else:
            yield Finding("disk", Level.OK, where)


def _address(address: str, key: str) -> Finding | str:
    host, _, port = address.rpartition(":")
    if address.startswith("unix") or not port.isdecimal():
        return address
    try:
        known = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        with socket.socket(known[0][0], known[0][1]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(known[0][4])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = "another program listens there, perhaps a server of blackbox_am"
        else:
            why = str(error.strerror or error)
        cure = f"end it, or set {key} to another address, such as localhost:0 for a free port"
        return Finding(key.removesuffix("_address"), Level.FAULT, f"{address}: {why}; {cure}")
    return f"{address} is free"


def _exposure(config: Config) -> Finding | str:
    file = file_of(url_of(config.store))
    tokens = False
    if file is None or file.path.exists():
        store = SQLStore(config.store)
        try:
            tokens = store.tokens.exist()
        finally:
            store.close()
    try:
        check_exposure(config.address, config.tls, tokens)
    except BlackboxError as error:
        return Finding("exposure", Level.WARNING if config.insecure else Level.FAULT, error.message)
    guarded = "callers need tokens" if tokens else "no tokens"
    return f"{'encrypted' if config.tls.on else 'not encrypted'}, {guarded}"


def _certificate(config: Config) -> Finding:
    left = days_left(config.tls.certificate, config.tls.key)
    shown = f"{config.tls.certificate} expires in {left:.0f} days"
    if left < SOON_DAYS:
        soon = f"{shown}; replace the files, the server reads them again without a restart"
        return Finding("certificate", Level.WARNING, soon)
    return Finding("certificate", Level.OK, shown)


def _models(config: Config) -> Iterator[Finding]:
    catalogue = config.catalogue
    for name in catalogue.oracle_names():
        if name not in SHIPPED["oracles"]:
            yield _checked(f"oracles.{name}", partial(_oracle, config, name))
    for name in catalogue.generator_names():
        if name not in SHIPPED["generators"]:
            yield _checked(f"generators.{name}", partial(_generator, config, name))


def _oracle(config: Config, name: str) -> str:
    info = config.catalogue.oracle(name).describe()
    return f"{info.kind}: stimuli {info.stimulus_shape}, {len(info.layers)} layers"


def _generator(config: Config, name: str) -> str:
    made = config.catalogue.generator(name)
    return f"{made.kind}: {made.space.dim} latent dimensions, stimuli {made.stimulus_shape}"


def _size(number: int) -> str:
    return f"{number / 2**30:.1f} GiB"
