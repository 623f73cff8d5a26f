"""The repository speaks of the product, from anywhere: no machine's paths, no registry, no talk of its making."""

from __future__ import annotations

import re

# Written in two halves, so that this page does not find itself.
FORBIDDEN = {
    "a path of one machine": ["/wo" + "rk/", "/ro" + "ot/", "/tmp/br" + "ief"],
    "a package registry": [
        "pypi" + r"\.org",
        "python" + r"hosted\.org",
        "registry\\.npm" + "js",
        "--extra-index" + "-url",
        "--find" + "-links",
    ],
    "talk of the making": ["cla" + "ude", "helper ag" + "ent", "sub" + "agent", "anth" + "ropic"],
    "work left undone": [r"(?-i:\bTO" + r"DO\b)", r"(?-i:\bFIX" + r"ME\b)"],
}


def _text(path) -> str:
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", errors="replace")


def test_no_forbidden_words(tracked, root):
    found = []
    for path in tracked:
        text = _text(path)
        for what, patterns in FORBIDDEN.items():
            pattern = re.compile("|".join(patterns), re.IGNORECASE)
            found += [
                f"{path.relative_to(root)}:{text.count(chr(10), 0, hit.start()) + 1}: {what}: {hit.group()}"
                for hit in pattern.finditer(text)
            ]
    assert not found


def test_no_issue_numbers_in_comments(tracked, root):
    comment = re.compile(r"#\s.*(?<![\w/])#\d{1,4}\b|\b(?:issue|ticket|PR)\s+#\d+", re.IGNORECASE)
    found = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for path in tracked
        if path.suffix == ".py"
        for number, line in enumerate(_text(path).splitlines(), start=1)
        if comment.search(line) and "test_words" not in path.name
    ]
    assert not found


def test_no_foreign_scripts(tracked, root):
    minified = [
        str(path.relative_to(root))
        for path in tracked
        if path.suffix in {".js", ".mjs", ".css"} and any(len(line) > 500 for line in _text(path).splitlines())
    ]
    assert not minified, "scripts and styles here are our own, and readable"
