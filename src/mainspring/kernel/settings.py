"""Settings: one frozen record, each value from the default, the file, the environment or a flag, in that order.

The file is `config.toml` in the store's folder. The environment variable of a setting is `MAINSPRING_` and its name in
capitals. They are read once, at the entry point, and passed down.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from mainspring.kernel.errors import InvalidInput, nearest

__all__ = ["Origin", "Settings", "describe_settings", "find_store", "read_settings"]

_FOLDER = ".mainspring"


class Settings(msgspec.Struct, frozen=True):
    """Everything that can be set. See `docs/reference/settings.md`."""

    url: str = ""
    """Address of a Mainspring server that clients use instead of a folder, for example `http://127.0.0.1:7300`."""
    token: str = ""
    """Token that clients show to the server."""
    workspace: str = "default"
    """Workspace that clients work in."""
    database: str = ""
    """`postgresql://...` to keep metadata in PostgreSQL; empty for SQLite in the store's folder."""
    blobs: str = ""
    """`s3://bucket/prefix`, `gs://...` or `az://...` to keep bytes in a bucket; empty for the store's folder."""
    host: str = "127.0.0.1"
    """Address that `mainspring up` listens on; any other than loopback needs a token to exist."""
    port: int = 7300
    """Port of the API and the console."""
    serve_port: int = 0
    """Port of the model endpoints; 0 for the one after `port`."""
    tune_grpc_port: int = 0
    """Port on loopback on which `mainspring up` serves Optuna's gRPC storage protocol; 0 for not at all."""
    workers: int = 1
    """How many worker processes `mainspring up` starts."""
    pools: tuple[str, ...] = ()
    """Pools whose flows these workers execute, besides flows without a pool."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names, besides loopback, under which browsers may reach the server."""
    monitor_seconds: float = 2.0
    """How often monitors and loops are looked at."""
    lease_seconds: float = 10.0
    """How long a worker may be silent before its task is given to another."""
    console_output: str = "python"
    """What runs record of what their process prints: `python`, `process` (C libraries and children too) or `off`."""
    system_seconds: float = 15.0
    """How often a run looks at its machine, in seconds; 0 for never."""
    undo_days: int = 30
    """For how many days what was deleted can be restored; after that the collection of garbage takes its bytes."""
    profile_rows: int = 5_000_000
    """Tables of at most so many rows are profiled when they are committed; 0 for never."""
    vault: str = ""
    """`MOUNT/PATH` of HashiCorp Vault's key-value engine (version 2) where steps look for secrets."""
    log_level: str = "info"
    """`debug`, `info`, `warning` or `error`."""


class Origin(msgspec.Struct, frozen=True):
    """A setting as `mainspring config` shows it."""

    name: str
    value: Any
    origin: str
    """`default`, the path of the file, the environment variable, or `flag`."""
    description: str


def find_store(start: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The store's folder: `MAINSPRING_STORE`, else `.mainspring` found upward from `start`, else the one to make."""
    if named := environ.get("MAINSPRING_STORE"):
        return Path(named).expanduser().resolve()
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / _FOLDER).is_dir():
            return folder / _FOLDER
    return here / _FOLDER


def read_settings(
    folder: Path | None = None, *, environ: Mapping[str, str] = os.environ, flags: Mapping[str, Any] | None = None
) -> Settings:
    """The settings in force for the store in `folder`; `InvalidInput` names a wrong one and where it was set."""
    found = _settings_in_force(folder, environ, flags, {})
    return msgspec.convert({each.name: each.value for each in found}, Settings)


def describe_settings(
    folder: Path | None = None, *, environ: Mapping[str, str] = os.environ, flags: Mapping[str, Any] | None = None
) -> list[Origin]:
    """Every setting with its value and where it came from."""
    return _settings_in_force(folder, environ, flags, _descriptions())


def _settings_in_force(
    folder: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any] | None, documented: Mapping[str, str]
) -> list[Origin]:
    file = (folder or find_store(environ=environ)) / "config.toml"
    from_file = _read_file(file)
    hints = get_type_hints(Settings)
    found: list[Origin] = []
    for field in msgspec.structs.fields(Settings):
        value, origin = field.default, "default"
        if field.name in from_file:
            value, origin = from_file[field.name], str(file)
        variable = f"MAINSPRING_{field.name.upper()}"
        if variable in environ:
            value, origin = _from_text(environ[variable], hints[field.name]), variable
        if flags and flags.get(field.name) is not None:
            value, origin = flags[field.name], "flag"
        try:
            value = msgspec.convert(value, hints[field.name], strict=False)
        except msgspec.ValidationError as error:
            raise InvalidInput(f"the setting {field.name} = {value!r} ({origin}) is wrong: {error}") from None
        found.append(Origin(field.name, value, origin, documented.get(field.name, "")))
    return found


def _read_file(file: Path) -> dict[str, Any]:
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return {}
    import tomllib

    try:
        values = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} is not TOML: {error}") from None
    known = Settings.__struct_fields__
    for name in values:
        if name not in known:
            raise InvalidInput(f"{file} sets {name!r}, which is not a setting", known=nearest(name, known))
    return values


def _from_text(text: str, hint: Any) -> Any:
    if hint == tuple[str, ...]:
        return [part.strip() for part in text.split(",") if part.strip()]
    if hint is bool:
        return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}.get(
            text.lower(), text
        )
    return text


def _descriptions() -> dict[str, str]:
    """The text under each field of `Settings`, from its source: written once, shown everywhere."""
    import ast
    import inspect

    body = ast.parse(inspect.getsource(Settings)).body[0]
    found: dict[str, str] = {}
    name = ""
    for node in getattr(body, "body", []):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            found[name] = str(node.value.value)
    return found
