"""Suites in files: which form a file has, and reading and writing it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.quality.suite import as_suite
from mainspring.quality.types import Suite

__all__ = ["FORMS", "parse_suite", "read_suite", "suite_text"]

FORMS = ("json", "yaml", "gx", "dqdl", "deequ", "tfdv")
"""Ours as JSON and YAML, Great Expectations' JSON, DQDL, Deequ's checks, TFDV's schema."""

_SUFFIXES = {".yaml": "yaml", ".yml": "yaml", ".dqdl": "dqdl", ".pbtxt": "tfdv", ".json": "json"}
_LONGEST = 20_000_000  # bytes of a file


def read_suite(path: Path, form: str = "") -> Suite:
    """The suite in a file, by the form that is given or that its suffix says; JSON of Great Expectations is seen."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None
    if size > _LONGEST:
        raise InvalidInput(f"{path} has {size} bytes, which is no suite")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is no text, and so no suite") from None
    chosen = form or _SUFFIXES.get(path.suffix.lower(), "")
    if not chosen:
        raise InvalidInput(f"the form of {path} is not known by its name", known=FORMS, hint="say --format")
    found = parse_suite(text, chosen)
    return msgspec.structs.replace(found, name=path.stem) if found.name in ("", "unnamed") else found


def parse_suite(text: str, form: str) -> Suite:
    """The suite that a text says."""
    if form == "json" and _is_gx(text):
        form = "gx"
    if form == "json":
        try:
            return as_suite(msgspec.json.decode(text, type=Suite))
        except msgspec.DecodeError as error:
            raise InvalidInput(f"this is no suite as JSON: {error}") from None
    found: Suite = _function("read", form)(text)
    return found


def suite_text(suite: Suite, form: str) -> str:
    """A suite in a form."""
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(suite), indent=2).decode() + "\n"
    text: str = _function("write", form)(suite)
    return text


def _is_gx(text: str) -> bool:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    lines = found.get("expectations", []) if isinstance(found, dict) else []
    first = lines[0] if isinstance(lines, list) and lines else {}
    return isinstance(first, dict) and ("type" in first or "expectation_type" in first)


def _function(verb: str, form: str) -> Callable[..., Any]:
    if form not in FORMS:
        raise InvalidInput(f"{form!r} is not a form of suites", known=FORMS)
    try:
        module = importlib.import_module(f"mainspring.quality.formats.{form}")
    except ModuleNotFoundError as error:
        if error.name != f"mainspring.quality.formats.{form}":
            raise
        raise InvalidInput(f"suites are not read or written as {form}", known=FORMS) from None
    found = getattr(module, f"{verb}_{form}", None)
    if found is None:
        raise InvalidInput(f"a suite cannot be {'read from' if verb == 'read' else 'written as'} {form}", known=FORMS)
    return found  # type: ignore[no-any-return]  # a function of the module
