"""Names and references: what a thing may be called, and how it is addressed."""

from __future__ import annotations

import re
import unicodedata

import msgspec

from mainspring.kernel.errors import InvalidName, InvalidReference

__all__ = ["Reference", "check_name", "parse_reference"]

_NAME = re.compile(r"[\w][\w .\-+:=]*(?:/[\w][\w .\-+:=]*)*", re.UNICODE)
_LIMIT = 250  # bytes: what file systems and every peer's registry accept


def check_name(name: str, *, what: str = "name") -> str:
    """Return `name` when it may name a thing; raise `InvalidName` otherwise.

    A name is 1 to 250 bytes of letters, digits and ` _-.+:=`, in segments divided by `/`, each
    starting with a letter, a digit or `_`. It is in Unicode's NFC form. So it cannot climb out of
    a folder, hide, or look the same as another name while being different bytes.

    Example:
        >>> check_name("team/flight-delay")
        'team/flight-delay'
    """
    if not _NAME.fullmatch(name) or len(name.encode(errors="replace")) > _LIMIT:
        shown = repr(name if len(name) <= 60 else name[:57] + "...")
        raise InvalidName(
            f"{what} {shown} is not a valid name",
            hint="use 1 to 250 letters, digits and -_.+:= in segments divided by /",
        )
    if unicodedata.normalize("NFC", name) != name:
        raise InvalidName(f"{what} {name!r} is not in Unicode's NFC form", hint="unicodedata.normalize('NFC', name)")
    if name.endswith(" ") or any(part.strip(".") == "" for part in name.split("/")):
        raise InvalidName(f"{what} {name!r} has an empty or dotted segment")
    return name


class Reference(msgspec.Struct, frozen=True):
    """An address inside a workspace: `kind/name@version`, `kind/name@alias` or `kind/name`."""

    kind: str
    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}@{self.version}" if self.version else f"{self.kind}/{self.name}"


def parse_reference(text: str, *, kind: str = "") -> Reference:
    """Read `kind/name@version`; with `kind` given, the leading `kind/` may be left out.

    A version may be written `3` or `v3`; anything else after `@` is an alias.

    Example:
        >>> parse_reference("flights@v3", kind="dataset")
        Reference(kind='dataset', name='flights', version='3')
    """
    name, at, version = text.partition("@")
    if kind and not name.startswith(kind + "/"):
        name = f"{kind}/{name}"
    found, slash, rest = name.partition("/")
    if not slash or not found or (at and not version) or "@" in version:
        raise InvalidReference(
            f"{text!r} is not a reference", hint="write kind/name@version, for example model/fraud@3"
        )
    if re.fullmatch(r"v\d+", version):
        version = version[1:]
    if version:
        check_name(version, what="version or alias")
    return Reference(kind=check_name(found, what="kind"), name=check_name(rest), version=version)
