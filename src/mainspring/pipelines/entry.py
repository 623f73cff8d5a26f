"""What a container runs: one step, or one flow.

    python -m mainspring.pipelines.entry step pipelines:train --argument=rows=file:/in/rows --output=/out/model
    python -m mainspring.pipelines.entry flow pipelines:nightly --argument=day=date:2026-11-21 --key=nightly-4711

`step` needs no store and no server: what it is given and what it gives are files (`exports.portable`), or texts of
the command. `flow` runs a flow durably in the store that `MAINSPRING_URL` or `MAINSPRING_STORE` names; the same `--key`
goes on with the same run.

The working folder must be one from which the module can be imported. Exit codes: 0 done, 1 it failed, 2 wrong usage,
42 it failed with an error after which it is not tried again, 124 it took too long.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from mainspring.kernel.clock import now
from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.kernel.ids import new_id
from mainspring.pipelines.exports.inputs import Inputs
from mainspring.pipelines.exports.portable import pack, whole_tree, write_file

__all__ = ["FAILED_FOR_GOOD", "TOO_LONG", "main"]

FAILED_FOR_GOOD = 42
"""The exit code of an error that `retry_on` leaves out."""
TOO_LONG = 124
"""The exit code after `--timeout`, as of timeout(1)."""

_LARGEST_XCOM = 48 << 10
"""Bytes of a result that travels in a command line: one argument may have 128 KiB, and one task is given several."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says; the exit code."""
    options = _parser().parse_args(arguments)
    if os.getcwd() not in sys.path:  # noqa: PTH109 -- as `sys.path` spells it
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    if getattr(options, "timeout", 0):
        _end_after(options.timeout)
    try:
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except MainspringError as error:
        traceback.print_exc()
        sys.stderr.write(f"error[{error.code}]: {error.message}\n" + (f"  try: {error.hint}\n" if error.hint else ""))
        return 2 if isinstance(error, InvalidInput) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mainspring.pipelines.entry", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="step|flow")
    step = commands.add_parser("step", help="run one step")
    step.add_argument("address", metavar="MODULE:STEP")
    step.add_argument("--output", default="", metavar="FILE", help="where its result goes")
    step.add_argument("--parts", default="", metavar="FOLDER", help="where the items of its result go, one a file")
    step.add_argument("--count", default="", metavar="FILE", help="where the number of items of its result goes")
    step.add_argument("--indexes", default="", metavar="FILE", help="where their places go, a JSON list")
    step.add_argument("--xcom", default="", metavar="FILE", help="where its result goes as JSON")
    step.add_argument("--share", default="", metavar="FILE", help="where it goes instead, with --xcom naming it")
    step.add_argument("--retries", default=0, type=int, help="how often it is tried again in this process")
    step.add_argument("--delay", default=1.0, type=float, help="seconds before the first of these")
    step.add_argument("--lengths", default="", metavar="N,N", help="of what is mapped over together: must be equal")
    step.add_argument("--node", default="", help="its place in the graph")
    step.add_argument("--item", default=-1, type=int, help="which item of a map it is")
    step.add_argument("--tried", default=0, type=int, help="how often it was tried before")
    step.add_argument("--code", default="", help="digest of its code, for caches that look at the command")
    step.add_argument("--allow-pickle", action="store_true", help="whether its values may be pickled")
    step.set_defaults(run=_run_step)
    flow = commands.add_parser("flow", help="run a flow durably")
    flow.add_argument("address", metavar="MODULE:FLOW")
    flow.add_argument("--key", default="", help="the same key goes on with the same run")
    flow.set_defaults(run=_run_flow, allow_pickle=False)
    for each in (step, flow):
        each.add_argument("--argument", action="append", default=[], metavar="NAME=KIND:VALUE", help="what it is given")
        each.add_argument("--input", action="append", default=[], metavar="NAME=KIND:VALUE", help="a part of arguments")
        each.add_argument("--executor-input", default="", metavar="JSON", help="of Kubeflow Pipelines")
        each.add_argument("--run-id", default="", help="the run of the orchestrator")
        each.add_argument("--fired", default="", metavar="TIME", help="the moment that the run is for; now by default")
        each.add_argument("--tz", default="UTC", help="the zone of its date")
        each.add_argument("--timeout", default=0.0, type=float, metavar="SECONDS", help="after which it is killed")
    return parser


def _inputs(options: argparse.Namespace) -> Inputs:
    return Inputs(
        declared=options.input,
        executor_input=options.executor_input,
        fired=datetime.fromisoformat(options.fired) if options.fired else now(),
        tz=options.tz,
        allow_pickle=options.allow_pickle,
    )


def _run_step(options: argparse.Namespace) -> int:
    found = _found(options.address)
    function, settings = getattr(found, "function", found), getattr(found, "options", None)
    _check_lengths(options.lengths)
    bound = inspect.signature(function).bind_partial()
    bound.arguments.update(_inputs(options).arguments(options.argument))
    call = partial(function, *bound.args, **bound.kwargs)
    for attempt in range(1, options.retries + 2):
        try:
            value = _called(call, options, found, options.tried + attempt)
            break
        except Exception as error:  # noqa: BLE001 -- the boundary of the step: whatever it raised decides what happens next
            traceback.print_exc()
            again = settings is None or _is_tried_again(settings.retry_on, error)
            if again and attempt <= options.retries:
                time.sleep(min(300.0, options.delay * 2 ** (attempt - 1)))
                continue
            fallback = getattr(settings, "fallback", msgspec.UNSET)
            if fallback is msgspec.UNSET:
                return 1 if again else FAILED_FOR_GOOD
            value = fallback(error) if callable(fallback) else fallback
            break
    _give(value, options)
    return 0


def _called(call: Callable[[], Any], options: argparse.Namespace, found: Any, attempt: int) -> Any:
    from mainspring.pipelines.context import StepContext, inside_step

    run_id = options.run_id or new_id()
    name = getattr(found, "name", options.address.rpartition(":")[2])
    context = StepContext(
        step_id=f"{run_id}/{options.node or name}" + (f"/{options.item}" if options.item >= 0 else ""),
        run_id=run_id,
        flow="",
        name=name,
        path=options.node or "0",
        item=options.item,
        attempt=attempt,
    )
    with inside_step(context):
        value = call()
        return asyncio.run(value) if inspect.iscoroutine(value) else value


def _give(value: Any, options: argparse.Namespace) -> None:
    """Put a result where the next steps look for it."""
    packed = partial(pack, allow_pickle=options.allow_pickle)
    if options.output:
        write_file(options.output, packed(value))
    if options.parts or options.count or options.indexes:
        if not isinstance(value, list | tuple):
            raise InvalidInput(
                f"{options.address} returned {type(value).__name__}, and the flow maps over it",
                hint="return a list",
            )
        if options.parts:
            Path(options.parts).mkdir(parents=True, exist_ok=True)
            for place, each in enumerate(value):
                write_file(Path(options.parts) / str(place), packed(each))
        if options.count:
            write_file(options.count, str(len(value)).encode())
        if options.indexes:
            write_file(options.indexes, msgspec.json.encode(list(range(len(value)))))
    if options.xcom:
        write_file(options.xcom, _xcom(value, options))
    if options.executor_input:
        _tell_kubeflow(msgspec.json.decode(options.executor_input).get("outputs", {}))


def _tell_kubeflow(outputs: dict[str, Any]) -> None:
    """Kubeflow Pipelines finds artifacts where it said they should be; its local runner wants to be told so."""
    made = [{"name": each["name"], "uri": each["uri"]} for each in outputs["artifacts"]["result"]["artifacts"]]
    write_file(outputs["outputFile"], msgspec.json.encode({"artifacts": {"result": {"artifacts": made}}}))


def _xcom(value: Any, options: argparse.Namespace) -> bytes:
    if options.share:
        write_file(options.share, pack(value, allow_pickle=options.allow_pickle))
        tree: Any = {"$": "shared", "file": options.share}
        if isinstance(value, list):  # a list that its reader can map over
            tree = [tree | {"item": place} for place in range(len(value))]
        return msgspec.json.encode(tree)
    if value is None:
        return b'{"$":"none"}'  # XCom takes null for nothing at all
    data = msgspec.json.encode(whole_tree(value, allow_pickle=options.allow_pickle))
    if len(data) > _LARGEST_XCOM:
        raise InvalidInput(
            f"{options.address} returned {len(data)} bytes, of which {_LARGEST_XCOM} fit through XCom",
            hint="export with --share, a folder that all containers mount",
        )
    return data


def _run_flow(options: argparse.Namespace) -> int:
    from mainspring.kernel.hooks import load
    from mainspring.pipelines.decorators import Flow
    from mainspring.pipelines.environment import current_environment
    from mainspring.pipelines.presence import present
    from mainspring.pipelines.runtime import blob_port, execute_flow
    from mainspring.pipelines.values import encode

    flow = _found(options.address)
    if not isinstance(flow, Flow):
        raise InvalidInput(f"{options.address} is not a flow", hint="decorate the function with @ms.flow")
    arguments = flow.bind(_inputs(options).arguments(options.argument))
    address = os.environ.get("MAINSPRING_URL") or os.environ.get("MAINSPRING_STORE") or ""
    client = load("mainspring.client.client:connect")(address, create=True)
    service, environment, code = client.pipelines, current_environment(), flow.code()
    with present(service) as worker:
        blobs = blob_port(service)
        service.note_environment(environment)
        opened = service.begin(
            flow.name,
            location=flow.location(),
            params={name: encode(value, blobs) for name, value in arguments.items()},
            code=code.fingerprint,
            parts=code.parts,
            environment=environment.digest,
            key=options.key,
            worker=worker,
        )
        try:
            execute_flow(service, flow, opened)
        except Exception:  # noqa: BLE001 -- the boundary of the process: it is recorded, and shown
            traceback.print_exc()
            return 1
    return 0


def _found(address: str) -> Any:
    from mainspring.kernel.hooks import load

    try:
        return load(address)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput(
            f"there is nothing at {address}: {error}",
            hint="the image must have the module, in its working folder or installed",
        ) from None


def _is_tried_again(wanted: Any, error: Exception) -> bool:
    return isinstance(error, wanted) if isinstance(wanted, tuple) else bool(wanted(error))


def _check_lengths(text: str) -> None:
    if len({int(each) for each in text.split(",") if each}) > 1:
        raise InvalidInput(f"map: the iterables are not equally long: {text}")


def _end_after(seconds: float) -> None:
    def end() -> None:
        sys.stderr.write(f"ended after {seconds:g} s\n")
        sys.stderr.flush()
        os._exit(TOO_LONG)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
