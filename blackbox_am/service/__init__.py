"""The gRPC server: `serve(config)` runs until a signal, `running(config)` runs in a thread."""

from blackbox_am.service.config import Config, load_config
from blackbox_am.service.server import Server, running, serve

__all__ = ["Config", "Server", "load_config", "running", "serve"]
