"""The program of a process that holds one model that is not to be trusted.

    python -m mainspring.engines.models_sandbox_child FD

It is told what to do over the socket FD, takes rights away from itself, opens the model and answers rows until the
socket closes. Whatever the model does, it does in here.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from typing import Any

from mainspring.engines.models_sandbox_limits import confine_files, leave_namespaces, limit_resources
from mainspring.engines.models_sandbox_wire import (
    Ask,
    Closed,
    Failed,
    Ready,
    Setup,
    Told,
    decode,
    encode,
    receive,
    send,
)
from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.kernel.hooks import load

__all__ = ["main"]

_LIMIT = 4 << 30


def main() -> None:
    """Serve one model."""
    link = socket.socket(fileno=int(sys.argv[1]))
    setup: Setup = receive(link, Setup, limit=_LIMIT)
    sys.path[:] = setup.sys_path
    protections = leave_namespaces()
    if "own processes" in protections:
        inner = os.fork()  # the first process of the new namespace: when it ends, all that it started ends
        if inner:
            link.close()
            with contextlib.suppress(ChildProcessError, KeyboardInterrupt):
                os.waitpid(inner, 0)
            os._exit(0)
    limits = limit_resources(
        memory=setup.memory,
        processes=setup.processes,
        open_files=setup.open_files,
        file_bytes=setup.file_bytes,
        cpu_seconds=setup.cpu_seconds,
    )
    gained = confine_files(readable=[setup.folder, *setup.readable], writable=[setup.scratch])
    os.chdir(setup.scratch)
    _serve(link, setup, list(dict.fromkeys([*protections, *limits, *gained])))


def _serve(link: socket.socket, setup: Setup, protections: list[str]) -> None:
    try:
        predictor = load(setup.opener)(setup.folder, setup.facts)
    except MainspringError as error:
        send(link, Failed(f"{error.message}"))
        return
    except Exception as error:  # noqa: BLE001 -- the model's own code: the boundary
        send(link, Failed(f"{type(error).__name__}: {error}"))
        return
    send(link, Ready(predictor.runtime, protections))
    with contextlib.suppress(Closed):
        while True:
            send(link, _answer(predictor, receive(link, Ask, limit=_LIMIT)))


def _answer(predictor: Any, ask: Ask) -> Told | Failed:
    try:
        return Told(encode(predictor.predict(decode(ask.columns))))
    except InvalidInput as error:
        return Failed(error.message, refused=True)
    except Exception as error:  # noqa: BLE001 -- the model's own code: the boundary
        return Failed(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
