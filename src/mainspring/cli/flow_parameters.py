"""The parameters of a flow as flags of a command: `mainspring flow start pipelines:nightly --day 2026-11-20`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import msgspec

from mainspring.cli.flow_address import find_flow
from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.decorators import Flow

__all__ = ["FlowCommand", "param_options", "parameter_options", "values_of"]

_ADDRESS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_RESERVED = frozenset({"here", "help", "json", "key", "param", "params", "priority", "quiet", "resume", "store", "url"})
_PREFIX = "flow_parameter_"


class FlowCommand(click.Command):
    """A command whose argument names a flow, and which has that flow's parameters as flags.

    They are known when the flow is: `--help` behind its name shows them.
    """

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """As click does it, of the command with the flags of the flow that `args` name."""
        address = next((each for each in args if _ADDRESS.fullmatch(each)), None)
        if address is None:
            return super().make_context(info_name, args, parent, **extra)
        flow = find_flow(address)
        first = next((line for line in (flow.function.__doc__ or "").splitlines() if line.strip()), "").strip()
        with_flags = click.Command(
            self.name,
            callback=self.callback,
            params=[*parameter_options(flow), *self.params],
            help=f"{self.help}\n\n{flow.name}: {first}" if first else self.help,
            context_settings=self.context_settings,
        )
        return with_flags.make_context(info_name, args, parent, **extra)


def param_options(command: Any) -> Any:
    """`--params` and `-p`, for every command that takes the parameters of a flow."""
    command = click.option(
        "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated."
    )(command)
    return click.option(
        "--params",
        "document",
        default="",
        metavar="JSON|@FILE",
        help="Parameters as a JSON object, or a file with one.",
    )(command)


def parameter_options(flow: Flow[..., Any]) -> list[click.Parameter]:
    """A flag for each parameter of a flow; those named like a flag of the command are given with `-p`."""
    made: list[click.Parameter] = []
    schema = flow.parameters_schema()
    for name, found in schema["properties"].items():
        flag = name.replace("_", "-")
        if flag in _RESERVED:
            continue
        text = found.get("description", "")
        if "default" in found:
            shown = msgspec.json.encode(found["default"]).decode()
            text = f"{text}  [default: {shown}]".strip()
        elif "x-default" in found:
            text = f"{text}  [default: the day or time that the run is for]".strip()
        elif name in schema.get("required", ()):
            text = f"{text}  [required]".strip()
        if found.get("type") == "boolean":
            made.append(click.Option([f"--{flag}/--no-{flag}", _PREFIX + name], default=None, help=text))
        else:
            many = found.get("type") == "array"
            made.append(
                click.Option(
                    [f"--{flag}", _PREFIX + name],
                    default=None,
                    multiple=many,
                    metavar=_metavar(found),
                    help=f"{text}{'; may be repeated' if many else ''}".strip("; "),
                )
            )
    return made


def values_of(flow: Flow[..., Any], flags: dict[str, Any], params: tuple[str, ...], document: str) -> dict[str, Any]:
    """The values that a command was given, as the types of the signature: flags go before `-p`, which goes before JSON.

    Raises:
        InvalidInput: One has no name, is unknown, or is no value of its type.
    """
    texts: dict[str, str] = {}
    for each in params:
        name, equals, text = each.partition("=")
        if not equals or not name:
            raise InvalidInput(f"{each!r} is not a parameter", hint="write -p name=value")
        texts[name] = text
    for flag, value in flags.items():
        if value is not None and value != ():
            texts[flag.removeprefix(_PREFIX)] = _text(value)
    return {**_document(flow, document), **flow.parameters_from_text(texts)}


def _document(flow: Flow[..., Any], document: str) -> dict[str, Any]:
    if not document:
        return {}
    try:
        text = Path(document[1:]).read_text("utf-8") if document.startswith("@") else document
        values = msgspec.json.decode(text, type=dict[str, Any])
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise InvalidInput(f"--params: {error}", hint='--params \'{"day": "2026-11-20"}\' or --params @file') from None
    return flow.parameters.convert(values)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return value[0] if len(value) == 1 and value[0].startswith("[") else f"[{', '.join(map(_item, value))}]"
    return str(value)


def _item(text: str) -> str:
    """An item of a list as JSON: as it is where it is JSON, a text otherwise."""
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return msgspec.json.encode(text).decode()
    return text


def _metavar(found: dict[str, Any]) -> str:
    if choices := found.get("enum"):
        return "|".join(str(each) for each in choices)
    if "$ref" in found:
        return "JSON"
    kind = found.get("format") or found.get("type") or "value"
    if kind == "array":
        kind = (found.get("items") or {}).get("format") or (found.get("items") or {}).get("type") or "value"
    return "JSON" if kind in ("object", "array") else str(kind).upper()
