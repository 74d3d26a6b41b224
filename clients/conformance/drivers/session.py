"""The connection of the Python client's driver."""

from __future__ import annotations

from typing import Any

import blackbox_am
from blackbox_am.client import Client, Study, connect
from blackbox_am.core.certificates import Tls
from blackbox_am.rpc import api
from clients.conformance.drivers.watches import Watch

Plain = dict[str, Any]


class DriverFault(Exception):
    """A request that is not in the protocol."""


class Session:
    """The verbs of the protocol about the connection."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._watches: dict[str, Watch] = {}

    def hello(self) -> Plain:
        return {
            "language": "python",
            "client_version": blackbox_am.__version__,
            "api_version": api.VERSION,
            "verbs": self._verbs(),
        }

    def connect(self, target: str, **access: Any) -> Plain:
        self.close()
        tls = access.pop("tls", None)
        options: Plain = {"timeout": access.pop("timeout_s", None), **access}
        if isinstance(tls, dict):
            names = {"ca": "ca_file", "certificate": "certificate_file", "key": "key_file"}
            tls = Tls(**{names[key]: value for key, value in given(tls).items()})
        self._client = connect(target, **given({**options, "tls": tls}))
        return {}

    def close(self) -> Plain:
        self._watches.clear()
        if self._client is not None:
            self._client.close()
        return {}

    def server_info(self) -> Plain:
        info = self._connected.server_info()
        return {
            "version": info.version,
            "api_version": info.api_version,
            "device": info.device,
            "features": list(info.features),
            "max_message_bytes": info.limits.max_message_bytes,
            "max_page_size": info.limits.max_page_size,
        }

    def _verbs(self) -> list[str]:
        """Names of the verbs."""
        return sorted(name for name in dir(self) if not name.startswith("_"))

    @property
    def _connected(self) -> Client:
        if self._client is None:
            raise DriverFault("connect first")
        return self._client

    def _study(self, study_id: str) -> Study:
        return self._connected.study(study_id)


def given(arguments: Plain) -> Plain:
    """The arguments that are not null."""
    return {key: value for key, value in arguments.items() if value is not None}
