"""Ignore files: the answers are Git's own."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.data.ignore import Rules, read_rules

PATHS = [
    "a", "b", "a.txt", "b.log", "ab", "a b", "a ", "#a", "!a", "a/b", "a/b/c", "a/b.txt", "b/a", "b/a.log",
    "x/a/b/c/d.txt", "x/y/a", "a/x/y/b", "a-b", "a]b", "A.txt", "a1", "a\\b2", ".hidden", "x/.hidden", "a*b",
    "foo/bar/baz", "foo/baz",
]  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


def by_git(repository, text, paths):
    """Git asks of a path itself only where no folder above it is left out, so each folder is asked for too."""
    (repository / ".gitignore").write_bytes(text.encode())
    said = subprocess.run(
        ["git", "-c", "core.ignorecase=false", "check-ignore", "--no-index", "-z", "--stdin"],
        cwd=repository, input="\0".join(paths).encode(), capture_output=True, check=False,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
    )  # fmt: skip
    return set(said.stdout.decode().split("\0")) - {""}


def by_us(text, paths):
    rules = Rules().below("", read_rules(text))
    found = set()
    for path in paths:
        parts = path.rstrip("/").split("/")
        ways = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
        if any(rules.leaves_out(way, is_folder=way != ways[-1] or path.endswith("/")) for way in ways):
            found.add(path)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "*.log", "/a", "a/", "a/b", "!a", "*\n!a", "*\n!*/\n!a.txt", "a/*\n!a/b", "**/b", "a/**", "a/**/b", "**", "**/",
        "# a\n\\#a\n\\!a", "a\\ ", "a   ", "a[0-9]", "a[!0-9]*", "[[:upper:]]*", "a[]]b", "a\\*b", "a\\\\b*", "[",
        "a\\", "/", "//", "foo/*", "foo/**/baz", "/*/b", "a**b", "*a*", "?", "\ufeffa", "a\r\nb", ".*", "x/**/d.txt",
        "a[b-a]", "a-[^-]", "**/a/**", "[a-", "a[[:nope:]]", "/**", "/**/a", "a/**/", "***", "a/***/b",
    ],
)  # fmt: skip
def test_a_file_says_what_git_says(repository, text):
    assert by_us(text, PATHS) == by_git(repository, text, PATHS)


LINES = st.text(st.sampled_from("ab/*?!.[]-^\\ "), min_size=1, max_size=7)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, min_size=8, max_size=8))
def test_many_lines_one_by_one(repository, lines):
    """Eight ignore files to a call of Git: each in a folder of its own."""
    expected, ours = set(), set()
    for number, line in enumerate(lines):
        (repository / f"d{number}").mkdir(exist_ok=True)
        (repository / f"d{number}" / ".gitignore").write_bytes(line.encode())
        ours |= {f"d{number}/{path}" for path in by_us(line, PATHS)}
    expected = by_git(repository, "", [f"d{number}/{path}" for number in range(len(lines)) for path in PATHS])
    assert ours == expected


def test_a_deeper_file_overrules_one_above():
    top = Rules().below("", read_rules("*.txt\n/only-here"))
    deep = top.below("a/", read_rules("!keep.txt\n/only-here"))
    assert deep.leaves_out("a/x.txt", is_folder=False)
    assert not deep.leaves_out("a/keep.txt", is_folder=False)
    assert top.leaves_out("a/keep.txt", is_folder=False)
    assert deep.leaves_out("a/only-here", is_folder=False)
    assert not top.leaves_out("a/only-here", is_folder=False)
