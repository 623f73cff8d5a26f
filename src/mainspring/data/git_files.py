"""What Mainspring writes into a Git repository beside pointers: blocks in `.gitignore` and `.gitattributes`, and hooks.

A block stands between two lines of its own; what is around it belongs to the user and stays as it is. Hooks that a user
has are never touched.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from mainspring.data.git import Repository
from mainspring.store.buckets import translate_os_error

__all__ = ["HOOKS", "ignore", "install_hooks", "no_longer_ignore", "remove_hooks", "set_attributes"]

HOOKS = ("post-checkout", "post-merge", "pre-push")
"""The hooks that are installed."""
_BEGIN, _END = "# mainspring: begin (kept by `mainspring data track`)", "# mainspring: end"
_MARK = "# mainspring: hook"
_DRIVER = "mainspring"
_ATTRIBUTES = ["*.mainspring merge=mainspring text eol=lf", ".gitignore merge=union"]
"""Pointers are merged by content. Two branches that track something new add lines at one place: both are wanted."""


def ignore(path: Path) -> bool:
    """See to it that Git leaves data alone which a pointer stands for; whether `.gitignore` changed."""
    place = path.with_name(".gitignore")
    return _write_block(place, sorted({*_block(place), _pattern(path.name)}))


def no_longer_ignore(path: Path) -> bool:
    """Take data out of `.gitignore`; whether that changed."""
    place = path.with_name(".gitignore")
    return _write_block(place, [line for line in _block(place) if line != _pattern(path.name)])


def set_attributes(repository: Repository) -> bool:
    """Say in `.gitattributes` how pointers are merged; whether that changed."""
    return _write_block(repository.top / ".gitattributes", _ATTRIBUTES)


def install_hooks(repository: Repository) -> dict[str, str]:
    """Install the hooks and the merge driver of this clone; what became of each: installed, kept or left alone."""
    folder = _hooks_folder(repository)
    done: dict[str, str] = {}
    for name in HOOKS:
        place = folder / name
        text = _hook(name)
        if place.exists() and _MARK not in _text(place):
            done[name] = f'left alone: it is yours; add the line: mainspring data hook {name} "$@"'
            continue
        done[name] = "kept" if _text(place) == text else "installed"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
            place.chmod(0o755)
        except OSError as error:
            raise translate_os_error(error, f"writing {place}") from error
    repository.run("config", f"merge.{_DRIVER}.name", "datasets, by what is in them")
    repository.run("config", f"merge.{_DRIVER}.driver", f"{_program()} data merge-driver %O %A %B %P")
    return done


def remove_hooks(repository: Repository) -> list[str]:
    """Remove the hooks that are ours, and the merge driver; the names of those that went."""
    gone = []
    for name in HOOKS:
        place = _hooks_folder(repository) / name
        if _MARK in _text(place):
            place.unlink()
            gone.append(name)
    if repository.text("config", "--get", f"merge.{_DRIVER}.driver"):
        repository.run("config", "--remove-section", f"merge.{_DRIVER}")
    return gone


def _hooks_folder(repository: Repository) -> Path:
    """Where this repository's hooks are; a setting may lead elsewhere."""
    return repository.top / repository.text("rev-parse", "--git-path", "hooks")


def _hook(name: str) -> str:
    """The text of a hook. One whose environment is gone says so, and does not stand in the way of Git."""
    python = _shell(sys.executable)
    return (
        f"#!/bin/sh\n{_MARK}; `mainspring data hooks remove` takes it away\n"
        f"if [ ! -x {python} ]; then\n"
        f'    echo "the environment of this hook is gone: mainspring data hooks install" >&2\n    exit 0\nfi\n'
        f'{_program()} data hook {name} "$@"\n'
    )


def _program() -> str:
    """How the command is called where no PATH of an environment is set, as in a hook of a graphical client."""
    return f"{_shell(sys.executable)} -m mainspring"


def _shell(text: str) -> str:
    return text if re.fullmatch(r"[\w/.+\-]+", text) else "'" + text.replace("'", "'\\''") + "'"


def _pattern(name: str) -> str:
    """A name as an ignore file matches it and nothing else, in its own folder."""
    return "/" + re.sub(r"([\\*?\[])", r"\\\1", name).replace(" ", "\\ ")


def _block(place: Path) -> list[str]:
    inside, found = False, []
    for line in _text(place).splitlines():
        if line in (_BEGIN, _END):
            inside = line == _BEGIN
        elif inside:
            found.append(line)
    return found


def _write_block(place: Path, lines: list[str]) -> bool:
    """Put lines into the block of a file; it goes with its last line, and a file that has nothing else with it."""
    before = _text(place)
    outside: list[str] = []
    inside, at = False, -1
    for line in before.splitlines():
        if line == _BEGIN:
            inside, at = True, len(outside) if at < 0 else at
        elif line == _END:
            inside = False
        elif not inside:
            outside.append(line)
    block = [_BEGIN, *lines, _END] if lines else []
    at = len(outside) if at < 0 else at
    after = "".join(f"{line}\n" for line in [*outside[:at], *block, *outside[at:]])
    if after == before:
        return False
    partial = place.with_name(f".{os.urandom(8).hex()}.partial")
    try:
        if not after:
            place.unlink(missing_ok=True)
            return True
        partial.write_text(after, encoding="utf-8", errors="surrogateescape", newline="\n")
        partial.replace(place)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise translate_os_error(error, f"writing {place}") from error
    return True


def _text(place: Path) -> str:
    try:
        return place.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise translate_os_error(error, f"reading {place}") from error
