"""Suites in files: the form is known by the name, what is written is read again, and what is no suite is refused."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.quality import expect, validate_table
from mainspring.quality.suites_files import parse_suite, read_suite, suite_text

SUITE = expect("flights").column("delay").between(-120, 1440).not_null(mostly=0.5).column("id").unique().suite
FRAME = pl.DataFrame({"id": [1, 2, 2], "delay": [5.0, None, 9000.0]})


@pytest.mark.parametrize(
    ("form", "suffix"), [("json", ".json"), ("gx", ".json"), ("yaml", ".yaml"), ("dqdl", ".dqdl"), ("tfdv", ".pbtxt")]
)
def test_what_is_written_in_a_form_is_read_again_by_its_name(tmp_path, form, suffix):
    if form == "tfdv":
        pytest.importorskip("tensorflow_metadata")
        suite = expect("flights").column("id").in_set(["a", "b"]).suite
        assert "id" in suite_text(suite, form)
        return
    path = tmp_path / f"flights{suffix}"
    path.write_text(suite_text(SUITE, form))
    again = read_suite(path)
    assert again.name == "flights"
    verdicts = sorted(each.verdict for each in validate_table(FRAME, again).results)
    assert verdicts == ["failed", "failed", "passed"]


def test_what_is_no_suite_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="not known by its name"):
        read_suite(tmp_path / "a.txt")
    with pytest.raises(InvalidInput, match="no suite as JSON"):
        read_suite(tmp_path / "b.json")
    with pytest.raises(InvalidInput, match="no text"):
        read_suite(tmp_path / "c.json")
    with pytest.raises(NotFound):
        read_suite(tmp_path / "none.json")
    with pytest.raises(InvalidInput, match="not a form"):
        parse_suite("x", "toml")
    with pytest.raises(InvalidInput, match="cannot be written as deequ"):
        suite_text(SUITE, "deequ")
