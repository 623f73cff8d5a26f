"""Ignore files, in the syntax of Git: what of a folder is no part of a dataset.

A rule counts for the folder of its file and everything below it; a later rule overrules an earlier one, and a deeper
file one above it. What lies in an ignored folder is not even looked at, so nothing in it can be taken back in.

By hand, because it is a page: the pattern language is gitignore(5) and wildmatch, and the tests hold it to
`git check-ignore`. A library would be one more thing to install for each who commits a folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

__all__ = ["DVC_IGNORE", "IGNORE_FILE", "Rules", "glob_regex", "read_rules"]

IGNORE_FILE = ".mainspringignore"
"""The name of the ignore files of datasets."""
DVC_IGNORE = ".dvcignore"
"""The name of DVC's, which has the same syntax; honoured when asked."""

_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": " \\t", "cntrl": "\\x00-\\x1f\\x7f", "digit": "0-9",
    "graph": "\\x21-\\x7e", "lower": "a-z", "print": "\\x20-\\x7e", "punct": "!-/:-@\\[-`{-~", "space": "\\s",
    "upper": "A-Z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip


class Rule(msgspec.Struct, frozen=True):
    """One line of an ignore file."""

    pattern: re.Pattern[str]
    """What the path below the folder of the file must match, whole."""
    takes_in: bool
    """Whether it takes back in what an earlier rule left out."""
    only_folders: bool


class Rules(msgspec.Struct, frozen=True):
    """The rules that count in a folder: those of the ignore files on the way to it, the outermost first."""

    files: tuple[tuple[str, tuple[Rule, ...]], ...] = ()
    """The folder of each file, below the top and with a slash at its end, and its rules in order."""

    def leaves_out(self, path: str, *, is_folder: bool) -> bool:
        r"""Whether a file or folder at a path below the top is left out.

        Example:
            >>> rules = Rules().below("", read_rules("*.tmp\n!keep.tmp"))
            >>> rules.leaves_out("a/x.tmp", is_folder=False), rules.leaves_out("a/keep.tmp", is_folder=False)
            (True, False)
        """
        for folder, rules in reversed(self.files):
            inside = path[len(folder) :]
            for rule in reversed(rules):
                if (is_folder or not rule.only_folders) and rule.pattern.fullmatch(inside):
                    return not rule.takes_in
        return False

    def below(self, folder: str, rules: Sequence[Rule]) -> Rules:
        """With the rules of one more file, which lies in a folder (`""` for the top, a slash at its end otherwise)."""
        return Rules((*self.files, (folder, tuple(rules)))) if rules else self

    def __bool__(self) -> bool:
        return bool(self.files)


def read_rules(text: str) -> list[Rule]:
    """The rules of an ignore file; a line that can match nothing gives none."""
    return [rule for line in text.removeprefix("\ufeff").split("\n") if (rule := _rule(line.removesuffix("\r")))]


def _rule(line: str) -> Rule | None:
    if line.startswith("#"):
        return None
    line = _without_trailing_spaces(line)
    takes_in = line.startswith("!")
    line = line[takes_in:]
    only_folders = line.endswith("/")
    line = line.removesuffix("/")
    if not line:
        return None
    anchored = "/" in line
    regex = glob_regex(line.removeprefix("/"))
    if regex is None:
        return None
    return Rule(re.compile(regex if anchored else f"(?:.*/)?{regex}", re.DOTALL), takes_in, only_folders)


def _without_trailing_spaces(line: str) -> str:
    end = len(line)
    while end and line[end - 1] == " ":
        slashes = len(line[: end - 1]) - len(line[: end - 1].rstrip("\\"))
        if slashes % 2:
            break
        end -= 1
    return line[:end]


def glob_regex(glob: str) -> str | None:
    """A glob as a regular expression; None where it can match nothing."""
    made, at = "", 0
    while at < len(glob):
        char = glob[at]
        if char == "*":
            stars = len(glob[at:]) - len(glob[at:].lstrip("*"))
            begins = at == 0 or glob[at - 1] == "/"
            after = glob[at + stars : at + stars + 1]
            if stars >= 2 and begins and after == "/":
                made, at = made + "(?:.*/)?", at + stars + 1
                continue
            across = stars >= 2 and begins and not after
            made += (".+" if at else ".*") if across else "[^/]*"
            at += stars
        elif char == "?":
            made, at = made + "[^/]", at + 1
        elif char == "[":
            found = _bracket(glob, at)
            if found is None:
                return None
            made, at = made + found[0], found[1]
        elif char == "\\":
            if at + 1 == len(glob):
                return None
            made, at = made + re.escape(glob[at + 1]), at + 2
        else:
            made, at = made + re.escape(char), at + 1
    return made


def _bracket(glob: str, at: int) -> tuple[str, int] | None:
    """A class of characters that begins at a place, and the place behind it; None when it does not end."""
    at += 1
    negated = glob[at : at + 1] in ("!", "^") and at < len(glob)
    at += negated
    items: list[str] = []
    first = True
    while True:
        if at >= len(glob):
            return None
        char = glob[at]
        if char == "]" and not first:
            break
        first = False
        if char == "[" and glob[at + 1 : at + 2] == ":" and (end := glob.find(":]", at + 2)) > 0:
            name = glob[at + 2 : end]
            if name not in _CLASSES:
                return None
            items.append(_CLASSES[name])
            at = end + 2
            continue
        low, at = _member(glob, at)
        items.append(re.escape(low))  # of a range that is empty, too
        if glob[at : at + 1] == "-" and glob[at + 1 : at + 2] not in ("", "]"):
            high, at = _member(glob, at + 1)
            if low <= high:
                items.append(f"{re.escape(low)}-{re.escape(high)}")
    inside = "".join(items)
    if not inside:
        return ("[^/]" if negated else "(?!)"), at + 1
    return (f"(?!/)[^{inside}]" if negated else f"(?!/)[{inside}]"), at + 1


def _member(glob: str, at: int) -> tuple[str, int]:
    if glob[at] == "\\" and at + 1 < len(glob):
        return glob[at + 1], at + 2
    return glob[at], at + 1
