"""A web page and an HTTP API for a server: studies, curves, pictures and live updates in a browser.

The gateway is a process of its own. It speaks gRPC to a server and HTTP to browsers, keeps no data,
and imports neither torch nor the server's code. `openapi.json` describes the API.
"""

from blackbox_am.gateway.app import create_app
from blackbox_am.gateway.serving import serve
from blackbox_am.gateway.settings import Settings

__all__ = ["Settings", "create_app", "serve"]
