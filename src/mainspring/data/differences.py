"""What differs between two versions: their files, their columns, their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mainspring.data.trees import Change
from mainspring.data.types import FilesDiff, SchemaDiff
from mainspring.lineage.types import File

__all__ = ["diff_files", "diff_schema", "without_common"]


def diff_files(changes: Iterable[Change], *, files: int) -> FilesDiff:
    """What differs between two trees, with renamed files told from added and removed ones; `files` are there before.

    Example:
        >>> a, b, c = (File("a", 1, "x"), File("a", 1, "z"), File("b", 1, "y"))
        >>> diff = diff_files([Change("a", a, b), Change("b", c, None), Change("c", None, File("c", 1, "y"))], files=2)
        >>> [each.path for each, _ in diff.modified], diff.renamed
        (['a'], [('b', 'c')])
    """
    removed: dict[str, File] = {}
    added: dict[str, File] = {}
    modified: list[tuple[File, File]] = []
    for change in changes:
        if change.before is not None and change.after is not None:
            modified.append((change.before, change.after))
        elif change.before is not None:
            removed[change.path] = change.before
        elif change.after is not None:
            added[change.path] = change.after
    touched = len(modified) + len(removed)
    renamed = _renames(removed, added)
    for gone, come in renamed:
        del removed[gone], added[come]
    return FilesDiff(
        added=list(added.values()),
        removed=list(removed.values()),
        modified=modified,
        renamed=renamed,
        unchanged=files - touched,
    )


def without_common(before: Sequence[File], after: Sequence[File]) -> tuple[list[File], list[File]]:
    """Each list without the files whose content is in the other too: their rows cannot differ and need not be read."""
    waiting = Counter(file.digest for file in after)
    common: Counter[str] = Counter()
    for file in before:
        if waiting[file.digest]:
            waiting[file.digest] -= 1
            common[file.digest] += 1
    return _take_out(before, common.copy()), _take_out(after, common.copy())


def _take_out(files: Sequence[File], common: Counter[str]) -> list[File]:
    kept = []
    for file in files:
        if common[file.digest]:
            common[file.digest] -= 1
        else:
            kept.append(file)
    return kept


def diff_schema(before: dict[str, str], after: dict[str, str]) -> SchemaDiff:
    """Compare names, types and order of columns."""
    common = [name for name in before if name in after]
    return SchemaDiff(
        added={name: after[name] for name in after if name not in before},
        removed={name: before[name] for name in before if name not in after},
        changed={name: (before[name], after[name]) for name in common if before[name] != after[name]},
        reordered=common != [name for name in after if name in before],
    )


def _renames(removed: dict[str, File], added: dict[str, File]) -> list[tuple[str, str]]:
    """Pair what went with what came of the same content, each once."""
    waiting: dict[str, list[str]] = {}
    for path in sorted(removed, reverse=True):
        waiting.setdefault(removed[path].digest, []).append(path)
    return [(gone.pop(), path) for path in sorted(added) if (gone := waiting.get(added[path].digest))]
