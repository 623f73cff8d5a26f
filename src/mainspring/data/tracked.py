"""The tracked files and folders of a Git repository: finding their pointers, and which ones this working tree had."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from mainspring.data.git import Repository
from mainspring.data.pointers import SUFFIX, data_of, pointer_of
from mainspring.data.types import DatasetVersion
from mainspring.kernel.errors import InvalidInput
from mainspring.store.buckets import translate_os_error

__all__ = [
    "Brought",
    "PointerChange",
    "State",
    "Tracked",
    "TrackedState",
    "changed_pointers",
    "describe_path",
    "find_pointers",
    "find_repository",
    "forget_path",
    "remember_path",
    "remembered_paths",
    "remove_files",
]

State = Literal["clean", "edited", "behind", "diverged", "missing", "unreadable"]
"""`clean`: as the pointer says. `edited`: changed since. `behind`: the pointer moved on, and nothing was changed here.
`diverged`: both. `missing`: not checked out. `unreadable`: the pointer is damaged, or left by a merge."""


class Tracked(msgspec.Struct, frozen=True):
    """What tracking a file or folder did."""

    path: str
    """As the repository names it."""
    version: DatasetVersion
    changed: list[str]
    """Files to be added to Git, as the repository names them."""


class TrackedState(msgspec.Struct, frozen=True):
    """How a tracked file or folder stands."""

    path: str
    dataset: str
    state: State
    tree: str
    """What the pointer says."""
    here: str
    """The root of what is there; empty when nothing is."""
    files: int
    size: int
    problem: str = ""


class Brought(msgspec.Struct, frozen=True):
    """What a checkout did with one tracked file or folder."""

    path: str
    dataset: str
    written: int
    removed: int


class PointerChange(msgspec.Struct, frozen=True):
    """A commit of Git that changed a pointer."""

    commit: str
    author: str
    date: str
    message: str
    tree: str
    """What the pointer says since; empty when it went."""
    version: int
    """The version with this content; 0 when it is not in this store."""


def find_repository(path: str | Path) -> Repository:
    """The Git repository, with a working tree, that a path lies in; raises `InvalidInput`."""
    found = Repository.find(path)
    if found is None:
        raise InvalidInput(f"{path} lies in no Git repository", hint="git init; without Git: mainspring data commit")
    if found.bare:
        raise InvalidInput(f"{found.top} is a bare repository: it has no working tree", hint="git worktree add")
    return found


def find_pointers(repository: Repository, paths: Sequence[str | Path] = ()) -> list[Path]:
    """The pointer files at and below the paths, or of the whole working tree; in or out of Git's index, by path."""
    listed = repository.run("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", f"*{SUFFIX}")
    names = sorted(set(filter(None, listed.decode(errors="surrogateescape").split("\0"))))
    found = [repository.top / name for name in names if Path(name).name != SUFFIX]
    there = [each for each in found if each.is_file() and SUFFIX not in each.relative_to(repository.top).parts]
    if not paths:
        return there
    wanted = [repository.top / repository.relative(each) for each in paths]
    exact = {pointer_of(each) for each in wanted}
    return [each for each in there if each in exact or any(each.is_relative_to(place) for place in wanted)]


def changed_pointers(repository: Repository, tip: str) -> Iterator[tuple[str, str]]:
    """The pointers that commits below a tip changed which no remote of Git has yet: their paths and texts."""
    pointers = f":(glob,top)**/*{SUFFIX}"
    for commit in repository.commits(tip, "--not", "--remotes", paths=[pointers]):
        names = ("--root", "-r", "-z", "--no-commit-id", "--name-only", "-m")
        listed = repository.run("diff-tree", *names, commit.id, "--", pointers)
        for path in dict.fromkeys(filter(None, listed.decode(errors="surrogateescape").split("\0"))):
            if text := repository.text("show", f"{commit.id}:{path}"):
                yield path, text


def remembered_paths(repository: Repository) -> list[str]:
    """What this working tree checked out, so that it is known to be ours when its pointer goes."""
    try:
        return repository.git_dir.joinpath("mainspring-tracked").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise translate_os_error(error, f"reading {repository.git_dir}") from error


def remember_path(repository: Repository, path: str) -> None:
    """Note that a path was tracked or checked out here."""
    known = remembered_paths(repository)
    if path not in known:
        _remember(repository, [*known, path])


def forget_path(repository: Repository, path: str) -> None:
    """Note that a path is not tracked here any more."""
    _remember(repository, [each for each in remembered_paths(repository) if each != path])


def remove_files(place: Path, paths: Iterable[str]) -> int:
    """Remove files below a folder, and the folders that they leave empty, the top included; how many files."""
    count, folders = 0, {place}
    for path in paths:
        with suppress(FileNotFoundError):
            (place / path).unlink()
            count += 1
        folders.update(_between(place, path))
    for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
        with suppress(OSError):
            folder.rmdir()
    return count


def describe_path(repository: Repository, pointer: Path) -> str:
    """The data of a pointer, as the repository names it."""
    return data_of(pointer).relative_to(repository.top).as_posix()


def _remember(repository: Repository, paths: Sequence[str]) -> None:
    place = repository.git_dir / "mainspring-tracked"
    partial = place.with_name(f"mainspring-tracked.{os.urandom(8).hex()}")
    try:
        partial.write_text("".join(f"{each}\n" for each in sorted(paths)), encoding="utf-8")
        partial.replace(place)
    except OSError as error:
        raise translate_os_error(error, f"writing {place}") from error


def _between(place: Path, path: str) -> Iterator[Path]:
    above = path.rpartition("/")[0]
    while above:
        yield place / above
        above = above.rpartition("/")[0]
