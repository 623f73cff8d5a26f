"""The profile of what was committed: taken once, of what was added alone, and not where it is switched off."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.quality.profiles import build
from mainspring.quality.profiles.build import profile_frame
from mainspring.quality.profiles.committed import take, take_frame

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def scanned(monkeypatch):
    rows = []
    own = build._profile
    monkeypatch.setattr(build, "_profile", lambda frame, n, **options: (rows.append(n), own(frame, n, **options))[1])
    return rows


def parts(folder, count):
    folder.mkdir(exist_ok=True)
    for k in range(count):
        frame = pl.DataFrame({"x": [float(k * 100 + j) for j in range(100)], "s": [f"v{k}"] * 100})
        if not (folder / f"part-{k}.parquet").exists():
            frame.write_parquet(folder / f"part-{k}.parquet")
    return folder


def test_a_version_that_adds_files_costs_the_scan_of_those(client, tmp_path, scanned):
    first = client.data.commit("flights", parts(tmp_path / "flights", 3))
    if client.quality.profile_of(first.ref) is None:  # it may be taken by the hook already
        assert take(client.data, first) is not None
    assert sum(scanned) == 300
    assert take(client.data, first) is None
    second = client.data.commit("flights", parts(tmp_path / "flights", 5))
    if client.quality.profile_of(second.ref) is None:
        take(client.data, second)
    assert sum(scanned) == 500
    whole = profile_frame(client.data.load(second.ref))
    kept = client.quality.profile_of(second.ref)
    assert (kept.rows, kept.column("s")) == (500, whole.column("s"))
    assert kept.column("x").sketch == whole.column("x").sketch
    (tmp_path / "flights" / "part-1.parquet").unlink()
    third = client.data.commit("flights", tmp_path / "flights")
    if client.quality.profile_of(third.ref) is None:
        take(client.data, third)
    assert client.quality.profile_of(third.ref).rows == 400


def test_what_is_no_table_or_too_long_or_switched_off_has_no_profile(client, tmp_path, monkeypatch):
    (tmp_path / "note.txt").write_text("hello")
    assert take(client.data, client.data.commit("notes", tmp_path / "note.txt")) is None
    monkeypatch.setenv("MAINSPRING_PROFILE_ROWS", "0")
    version = client.data.commit("numbers", pl.DataFrame({"n": [1, 2]}))
    assert take(client.data, version) is None
    assert take_frame(client.data, version.ref, pl.DataFrame({"n": [1, 2]})) is None
    monkeypatch.setenv("MAINSPRING_PROFILE_ROWS", "10")
    assert take_frame(client.data, version.ref, pl.DataFrame({"n": [1, 2]})) is not None
    assert client.quality.profile_of(version.ref).rows == 2
