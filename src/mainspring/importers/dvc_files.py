"""What DVC writes: `.dvc` files, `dvc.lock` with `dvc.yaml`, the list of a folder, and its configuration.

Facts of the formats of DVC 1 to 3: an output has `md5`, and since 3 `hash: md5`, which says that the bytes were hashed
as they are; without it text was hashed with its line ends made Unix, and lies in the older layout of the cache.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from mainspring.kernel.errors import UnsupportedFormat

__all__ = ["Content", "Listed", "Output", "Stage", "read_config", "read_list", "read_lock", "read_pointer", "read_yaml"]

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_SECTION = re.compile(r"\[\s*'?\s*(\w+)(?:\s+\"([^\"]*)\")?\s*'?\s*\]")


class Content(msgspec.Struct, frozen=True):
    """Bytes in DVC's cache."""

    md5: str
    """`.dir` behind it for the list of a folder."""
    legacy: bool = False
    """Hashed as DVC did before 3."""


class Listed(msgspec.Struct, frozen=True):
    """A file in an output."""

    path: str
    content: Content


class Stage(msgspec.Struct, frozen=True):
    """The stage that made an output, as the lock has it."""

    name: str
    cmd: Any = ""
    deps: dict[str, str] = {}
    """Paths below the top of the repository, and their MD5."""
    params: dict[str, Any] = {}
    metrics: list[str] = []
    """Paths of files with metrics."""


class Output(msgspec.Struct, frozen=True):
    """A file or folder that DVC keeps, as one commit has it."""

    path: str
    """Below the top of the repository."""
    content: Content | None
    """None where DVC keeps no MD5 of it: on a remote file system, or not made yet."""
    size: int | None = None
    files: int | None = None
    """How many, of a folder."""
    remote: str = ""
    origin: str = ""
    """Where it was imported from."""
    stage: Stage | None = None
    listed: list[Listed] | None = None
    """The files of a folder, where the pointer itself lists them."""
    facts: dict[str, Any] = {}
    """Description, type, labels and the like."""


def read_yaml(data: bytes, where: str) -> Any:
    """A document of YAML; raises `UnsupportedFormat`."""
    import yaml

    try:
        return yaml.load(data.decode(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 -- both are safe
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UnsupportedFormat(f"{where} cannot be read as YAML: {str(error).splitlines()[0]}") from error


def read_pointer(data: bytes, where: str) -> list[Output]:
    """The outputs of a `.dvc` file; `where` is its path below the top of the repository."""
    known = _mapping(read_yaml(data, where), where)
    folder = posixpath.join(posixpath.dirname(where), str(known.get("wdir") or "."))
    facts = {key: known[key] for key in ("desc", "meta", "frozen", "type", "labels") if key in known}
    deps = [each for each in known.get("deps") or [] if isinstance(each, Mapping)]
    origin = _origin(deps[0]) if deps and not known.get("cmd") else ""
    stage = None
    if known.get("cmd"):  # a stage of DVC 0
        named = {_below(folder, each): str(each.get("md5") or "") for each in deps}
        stage = Stage(posixpath.basename(where), known["cmd"], named)
    return [_output(each, folder, origin=origin, stage=stage, facts=facts) for each in known.get("outs") or []]


def read_lock(data: bytes, where: str, pipeline: Mapping[str, Any]) -> list[Output]:
    """The outputs of the stages of a `dvc.lock`; `pipeline` is the `dvc.yaml` beside it, as far as there is one."""
    known = _mapping(read_yaml(data, where), where)
    stages = _mapping(known.get("stages") or {}, where) if "schema" in known else known
    declared = pipeline.get("stages")
    found = []
    for name, each in stages.items():
        said = (declared or {}).get(str(name).partition("@")[0]) if isinstance(declared, Mapping) else None
        said = said.get("do", said) if isinstance(said, Mapping) else {}
        wdir = str(said.get("wdir") or ".") if isinstance(said, Mapping) else "."
        folder = posixpath.join(posixpath.dirname(where), "." if "${" in wdir else wdir)
        stage = Stage(
            name=str(name),
            cmd=each.get("cmd", ""),
            deps={_below(folder, dep): str(dep.get("md5") or "") for dep in each.get("deps") or []},
            params=each.get("params") or {},
            metrics=[_below(folder, {"path": metric}) for metric in _names(said.get("metrics"))],
        )
        found += [_output(out, folder, stage=stage) for out in each.get("outs") or []]
    return found


def read_list(data: bytes, where: str, *, legacy: bool) -> list[Listed]:
    """The files of a folder from its `.dir` object."""
    try:
        rows = json.loads(data)
        if not isinstance(rows, list):
            raise TypeError("it is no list")
        found = [Listed(str(row["relpath"]), Content(str(row["md5"]), legacy)) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise UnsupportedFormat(f"the list of the folder {where} cannot be read: {error}") from error
    if bad := next((each for each in found if not _MD5.fullmatch(each.content.md5)), None):
        raise UnsupportedFormat(f"the list of the folder {where} gives {bad.path} no MD5")
    return found


def read_config(text: str) -> dict[str, dict[str, str]]:
    r"""The sections of a configuration: `core`, `cache`, `remote "name"` and so on.

    Example:
        >>> read_config("[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../kept\n")
        {'core': {'remote': 'storage'}, 'remote "storage"': {'url': '../kept'}}
    """
    found: dict[str, dict[str, str]] = {}
    here: dict[str, str] = {}
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith(("#", ";")):
            continue
        if section := _SECTION.fullmatch(line):
            kind, name = section.groups()
            here = found.setdefault(kind if name is None else f'{kind} "{name}"', {})
            continue
        key, equals, value = line.partition("=")
        if equals:
            value = value.strip()
            here[key.strip()] = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
    return found


def _output(
    said: Any, folder: str, *, origin: str = "", stage: Stage | None = None, facts: Mapping[str, Any] | None = None
) -> Output:
    each = said if isinstance(said, Mapping) else {}
    md5 = str(each.get("md5") or "")
    content = Content(md5, legacy=each.get("hash") != "md5") if _MD5.fullmatch(md5) else None
    more = {key: each[key] for key in ("desc", "meta", "type", "labels") if key in each}
    listed = None
    if isinstance(each.get("files"), list) and all(_MD5.fullmatch(str(row.get("md5") or "")) for row in each["files"]):
        listed = [Listed(str(row["relpath"]), Content(str(row["md5"]))) for row in each["files"]]
    return Output(
        path=_below(folder, each),
        content=content,
        size=each.get("size") if isinstance(each.get("size"), int) else None,
        files=each.get("nfiles") if isinstance(each.get("nfiles"), int) else None,
        remote=str(each.get("remote") or ""),
        origin=origin,
        stage=stage,
        listed=listed,
        facts={**(facts or {}), **more},
    )


def _below(folder: str, said: Mapping[str, Any]) -> str:
    """A path below the top of the repository; as it stands where it is a URL or absolute."""
    path = str(said.get("path") or "")
    return path if "://" in path or path.startswith("/") else posixpath.normpath(posixpath.join(folder, path))


def _names(said: Any) -> Iterator[str]:
    """Paths in a list of `dvc.yaml`, whose members may be `path: {options}`."""
    for each in said if isinstance(said, list) else []:
        yield str(next(iter(each), "")) if isinstance(each, Mapping) else str(each)


def _origin(dep: Mapping[str, Any]) -> str:
    repo = dep.get("repo")
    if isinstance(repo, Mapping):
        revision = repo.get("rev_lock") or repo.get("rev") or ""
        return f"{repo.get('url', '')}{'@' if revision else ''}{revision} {dep.get('path', '')}"
    return str(dep.get("path") or "")


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UnsupportedFormat(f"{where} is not a file of DVC")
    return value
