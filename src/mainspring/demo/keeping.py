"""Stages of the demo about data that is kept: a working copy, a contract, a second place, damage, forgetting."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import mainspring as ms
from mainspring.demo.flights import weather
from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import CheckFailed, Damaged

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.demo.show import Show

__all__ = ["guard_data", "keep_data", "name_the_reached"]

_AIRCRAFT = "N14228"


def keep_data(client: Client, show: Show, *, store: Path) -> None:
    """A working copy that knows its version, a second place, and a byte that was flipped and comes back from there."""
    with tempfile.TemporaryDirectory(prefix="mainspring-demo-") as made:
        copy = Path(made) / "flights"
        client.data.checkout("flights@2", into=copy)
        clean = client.data.status(copy).clean
        (copy / "2013-01.parquet").unlink()
        (copy / "notes.txt").write_text("January is being looked at\n")
        changes = client.data.status(copy).changes
        show.fact("working copy of flights@2: taken away, added", f"{len(changes.removed)}, {len(changes.added)}")
        show.must(
            clean and len(changes.removed) == 1 and len(changes.added) == 1, "the working copy says what changed in it"
        )
        client.data.add_remote("backup", url=str(Path(made) / "backup"))
        first = client.data.push("", "backup")
        again = client.data.push("", "backup")
        show.fact("pushed to a second place: versions, blobs", f"{len(first.versions)}, {first.files}")
        show.must(bool(first.versions) and not again.files, "the second push had nothing to move")
        _break_and_heal(client, show, store)
        client.data.remove_remote("backup")


def _break_and_heal(client: Client, show: Show, store: Path) -> None:
    """Flip one byte of the weather in the store: it is refused, named, and mended from the second place."""
    digest = client.data.files("weather@1")[0].digest
    content = b"".join(client.storage.get_blob(digest))
    objects = (path for path in (store / "blobs").rglob("*") if path.is_file())
    place = next(path for path in objects if content in path.read_bytes())  # alone, or in a pack with others
    damaged = bytearray(place.read_bytes())
    damaged[damaged.index(content) + len(content) // 2] ^= 1
    place.chmod(0o644)
    place.write_bytes(damaged)
    try:
        b"".join(client.storage.get_blob(digest))
        refused = ""
    except Damaged as error:
        refused = error.message
    report = client.data.verify(heal=True, remotes=["backup"])
    show.fact("a byte was flipped in", ", ".join(each.ref for each in report.affected[:3]))
    show.must(bool(refused), "the damaged file was refused")
    show.must(report.intact and client.data.load("weather@1").height > 0, "it was mended from the second place")


def guard_data(client: Client, show: Show) -> None:
    """A contract refuses a bad delivery before anybody can read it; what drifted over the year is in the profiles."""
    sky = weather()
    promise = ms.expect("weather-feed").column("wind_speed").between(0, 120).column("humid").between(0, 101)
    client.quality.set_contract("weather-feed", promise)
    good, _ = client.quality.quarantine(sky, promise)
    client.data.commit("weather-feed", good, message="as promised")
    try:
        client.data.commit("weather-feed", sky, message="with the impossible wind")
        refused = ""
    except CheckFailed as error:
        refused = error.message
    show.say(f"refused: {refused.partition(chr(10))[0]}")
    show.must(
        bool(refused) and client.data.describe("weather-feed").version == 1, "the contract refused the bad delivery"
    )
    began = monotonic()
    report = client.quality.drift("flights@1", "flights@12", name="flights")
    show.fact("columns that drifted between January and the whole year", ", ".join(report.drifted) or "none")
    show.fact("compared from two stored profiles, in ms", f"{(monotonic() - began) * 1000:.0f}")
    show.must(bool(report.drifted), "the year is not like January")


def name_the_reached(client: Client, show: Show) -> None:
    """Who would have to forget one aircraft: every version, table and model that its flights reached."""
    report = client.data.forget(f"tailnum = '{_AIRCRAFT}'", datasets=["flights"], reason="the demo asks", dry_run=True)
    models = sorted({each.ref for each in report.reached if each.kind == "model"})
    show.fact(f"flights of {_AIRCRAFT}: versions that hold them", len(report.hits))
    show.fact("models that learned from them", ", ".join(models[:5]) or "none")
    show.must(bool(report.hits) and bool(models), "the models that a row reached are named")
