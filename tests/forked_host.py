"""The process that `tests.forked` forks: it imports what is slow to import, and waits."""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import types
import warnings
from pathlib import Path

IMPORTED = (
    "torch",
    "matplotlib.figure",
    "blackbox_am.catalogue",
    "blackbox_am.cli.demo",
    "blackbox_am.cli.run",
    "blackbox_am.cli.serve",
    "blackbox_am.cli.study",
    "blackbox_am.client",
    "blackbox_am.service.server",
)


def requests(control):
    """The requests with their descriptors, until the other side is closed.

    In each new process it yields the request; in this one it goes on, and tells exit statuses.
    """
    told, woken = {}, socket.socketpair()
    for end in woken:
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken[1].fileno())
    while True:
        ready, _, _ = select.select([control, woken[0]], [], [])
        if woken[0] in ready:
            with contextlib.suppress(BlockingIOError):
                woken[0].recv(4096)
            reap(told)
        if control in ready:
            head, descriptors, _, _ = socket.recv_fds(control, 8, 4)
            if not head:
                return None
            request = json.loads(received(control, int.from_bytes(head, "little")))
            status = socket.socket(fileno=descriptors.pop())
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                for one in (control, status, *woken, *told.values()):
                    one.close()
                return request, descriptors
            for number in descriptors:
                os.close(number)
            told[pid] = status
            status.sendall(pid.to_bytes(8, "little"))


def received(control, size):
    data = b""
    while len(data) < size:
        data += control.recv(size - len(data))
    return data


def reap(told):
    """Tells the exit statuses of the processes that have ended."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = found
            with told.pop(pid) as one, contextlib.suppress(BrokenPipeError):
                one.sendall(status.to_bytes(8, "little"))


def prepare(request, descriptors):
    """Makes this process what a new one would be."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        if descriptor > 2:
            os.close(descriptor)
    if request["new_session"]:
        os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])


def become(words):
    """Runs the program of the command line."""
    if words[:2] == ["-W", "error"]:
        warnings.simplefilter("error")
        words = words[2:]
    kind, name, rest = words[0], words[1:2], words[2:]
    if kind == "-m":
        sys.argv = [name[0], *rest]
        sys.path[0] = str(Path.cwd())
        runpy.run_module(name[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *rest]
        sys.path[0] = ""
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(name[0], "<string>", "exec"), main.__dict__)
    else:
        sys.argv = words
        sys.path[0] = str(Path(kind).absolute().parent)
        runpy.run_path(kind, run_name="__main__")


def run(words):
    """Runs the program and ends this process as the interpreter does, but for one thing: memory
    is not freed object by object, which takes a second after the import of torch.
    """
    code = 0
    try:
        become(words)
    except SystemExit as ended:
        code = ended.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, which then closes
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()  # so that forked processes neither copy nor search what they share
    found = requests(socket.socket(fileno=int(sys.argv[1])))
    if found is not None:
        prepare(*found)
        run(found[0]["words"])
