"""A proxy in front of a real server, which delays and refuses calls as a test says."""

import threading
import time
from concurrent import futures

import grpc

from blackbox_am.rpc.status import code_and_metadata, to_status


class Faults:
    """Forwards all calls to a server, between the gateway and it.

    Attributes:
        address: of the proxy.
        problems: what a call raises, by (method, study id).
        delays: seconds that a call takes longer, by the same.
        calls: the calls so far, as (method, study id).
        streams: the number of open streams.
    """

    def __init__(self, server):
        self.problems, self.delays, self.calls, self.streams = {}, {}, [], 0
        self._server = server
        self._lock = threading.Lock()
        self.address = ""

    def __enter__(self):
        self._upstream = grpc.insecure_channel(self._server)
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self._upstream.close()

    def start(self):
        """Listens; a second time on the same port."""
        self._proxy = grpc.server(futures.ThreadPoolExecutor(32))
        self._proxy.add_generic_rpc_handlers((_Handlers(self),))
        port = self._proxy.add_insecure_port(self.address or "127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        self._proxy.start()

    def stop(self):
        """Closes all connections."""
        self._proxy.stop(0).wait()

    def _begin(self, method, request, context):
        name = method.rpartition("/")[2]
        # The first field of every request of a study is its name: tag, length, `studies/ID`.
        text = request[2 : 2 + request[1]].decode("ascii", "replace") if len(request) > 1 else ""
        key = (name, text.removeprefix("studies/"))
        self.calls.append(key)
        time.sleep(self.delays.get(key, 0))
        problem = self.problems.get(key)
        if problem is not None:
            status = to_status(problem)
            code, metadata = code_and_metadata(status)
            context.set_trailing_metadata(metadata)
            context.abort(code, status.message)

    def unary(self, method, request, context):
        self._begin(method, request, context)
        try:
            return self._upstream.unary_unary(method)(request, timeout=context.time_remaining())
        except grpc.RpcError as error:
            return _pass_on(error, context)

    def stream(self, method, request, context):
        self._begin(method, request, context)
        call = self._upstream.unary_stream(method)(request)
        context.add_callback(call.cancel)
        with self._lock:
            self.streams += 1
        try:
            yield from call
        except grpc.RpcError as error:
            _pass_on(error, context)
        finally:
            with self._lock:
                self.streams -= 1


def _pass_on(error, context):
    context.set_trailing_metadata(error.trailing_metadata() or ())
    context.abort(error.code(), error.details())


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, faults):
        self._faults = faults

    def service(self, details):
        method = details.method
        if method.endswith("/WatchStudy"):
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: self._faults.stream(method, request, context)
            )
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._faults.unary(method, request, context)
        )
