"""A small network behind HTTP, with the answers and the faults that APIs have."""

from __future__ import annotations

import base64
import gzip
import io
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import nn

CLASSES = ("cat", "dog", "owl", "bee")

with torch.random.fork_rng():
    torch.manual_seed(0)
    NETWORK = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4))


class Api(BaseHTTPRequestHandler):
    """A small network behind HTTP, with the answers and the faults that APIs have."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    seen: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def log_message(self, *args):
        pass

    @staticmethod
    def model(image: Image.Image | np.ndarray) -> list[float]:
        pixels = np.asarray(image, np.float32)
        if isinstance(image, Image.Image):
            pixels = pixels.transpose(2, 0, 1) / 255
        with torch.no_grad():
            return NETWORK(torch.tensor(pixels).unsqueeze(0)).softmax(1)[0].tolist()

    @classmethod
    def of_file(cls, data: bytes) -> list[float]:
        return cls.model(Image.open(io.BytesIO(data)).convert("RGB"))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, dict(self.headers), body))
        getattr(self, "on_" + self.path.split("?")[0].strip("/"))(body)

    def reply(self, answer, status=200, **headers):
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def on_scores(self, body):
        self.reply({"scores": self.of_file(base64.b64decode(json.loads(body)["image"]))})

    def on_floats(self, body):
        image = np.array(json.loads(body)["image"])
        self.reply({"scores": dict(zip(CLASSES, self.model(image), strict=True))})

    def on_bytes(self, body):
        image = np.array(json.loads(body)["image"]).transpose(2, 0, 1) / 255
        self.reply({"scores": self.model(image)})

    def on_batch(self, body):
        request = json.loads(body)
        assert request["signature"] == "serving"
        instances = [item["b64"].partition(",")[2] for item in request["instances"]]
        scores = [self.of_file(base64.b64decode(text)) for text in instances]
        self.reply({"predictions": [{"p": row} for row in scores]})

    def on_picky(self, body):
        if len(json.loads(body)["instances"]) > 3:
            self.reply(b"Payload Too Large", 413)
        else:
            self.on_batch(body)

    def on_top(self, body):
        scores = self.of_file(base64.b64decode(json.loads(body)["image"]))
        pairs = sorted(zip(CLASSES, scores, strict=True), key=lambda pair: -pair[1])[:2]
        classes = [{"name": name, "score": score} for name, score in pairs]
        self.reply({"result": {"classes": classes}})

    def on_label(self, body):
        scores = self.of_file(base64.b64decode(json.loads(body)["image"]))
        self.reply({"label": CLASSES[int(np.argmax(scores))], "index": int(np.argmax(scores))})

    def on_raw(self, body):
        self.reply({"scores": self.of_file(body)})

    def on_multipart(self, body):
        head = f"Content-Type: {self.headers['Content-Type']}\n\n".encode()
        parts = message_from_bytes(head + body).get_payload()
        found = {p.get_param("name", header="Content-Disposition"): p for p in parts}
        assert found["model"].get_payload(decode=True) == b"m-1"
        assert found["photo"].get_content_type() == "image/jpeg"
        self.reply({"scores": self.of_file(found["photo"].get_payload(decode=True))})

    def on_busy(self, body):
        self.reply(b"slow down", 429, Retry_After="7")

    def on_away(self, body):
        self.reply(b"", 503)

    def on_denied(self, body):
        self.reply(f"no such key: {self.headers['Authorization']}".encode(), 401)

    def on_large(self, body):
        self.reply(b"too large", 413)

    def on_broken(self, body):
        self.reply(b"Traceback ...", 500)

    def on_garbage(self, body):
        self.reply(b"<html>")

    def on_huge(self, body):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):  # nobody reads it to the end
            while True:
                self.wfile.write(b"[" * 2**16)

    def on_zipped(self, body):
        self.reply(gzip.compress(b"{}"), Content_Encoding="gzip")

    def on_slow(self, body):
        time.sleep(0.6)
        with suppress(OSError):
            self.reply({"scores": [1, 2, 3, 4]})

    five = threading.Barrier(5, timeout=60)

    def on_together(self, body):
        self.five.wait()  # none of five requests is answered before the last one is here
        self.reply({"scores": [1, 2, 3, 4]})

    def on_drip(self, body):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        with suppress(OSError):
            for _ in range(12):
                time.sleep(0.1)
                self.wfile.write(b"[")

    def on_here(self, body):
        self.reply(b"", 308, Location="/scores")

    def on_round(self, body):
        self.reply(b"", 307, Location="/round")

    def on_elsewhere(self, body):
        self.reply(b"", 307, Location="http://other.example/scores?token=1")

    def on_moved(self, body):
        self.reply(b"", 302, Location="/scores")

    def on_hangup(self, body):
        self.close_connection = True


@contextmanager
def over_http(
    handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Serves with `handler` on this machine, behind TLS with a context, and yields the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *args: None  # clients that turn away are the point
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()
