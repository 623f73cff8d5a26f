"""Forgetting reaches what is online of feature views and training sets, down to the last byte."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from mainspring.data.erasures import Rewritten
from mainspring.features import Aggregation, Entity, Feature, FeatureView
from mainspring.features.derived import Replacement
from mainspring.features.service import Features
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.hashing import digest_bytes
from mainspring.kernel.hooks import ERASERS
from mainspring.store.packs import read_directory

pytestmark = pytest.mark.databases("sqlite")
both_databases = pytest.mark.databases("sqlite", "postgres")

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET, OTHER = "ada.lovelace@example.org", "grace.hopper@example.org"
VIEW = FeatureView(
    name="spending",
    entities=(Entity("customer"),),
    source="orders",
    timestamp="at",
    features=(Feature("city", "string"),),
    aggregations=(Aggregation("spent", "sum", 24 * HOUR, "price"),),
)
BY_CITY = FeatureView(
    name="cities",
    entities=(Entity("city"),),
    source="orders",
    timestamp="at",
    aggregations=(Aggregation("orders", "count", 24 * HOUR), Aggregation("most", "max", 24 * HOUR, "price")),
)
WHERE = f"customer = '{SECRET}'"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def orders(*rows):
    """Orders of a customer in a city, with a price, an hour apart."""
    customers, cities, prices = zip(*rows, strict=True)
    at = [NOON + number * HOUR for number in range(len(rows))]
    return pl.DataFrame({"customer": customers, "city": cities, "price": prices, "at": at})


ORDERS = orders((OTHER, "Rome", 1.0), (SECRET, "Oslo", 20.0), (OTHER, "Oslo", 3.0), (SECRET, "Rome", 40.0))


def holds(folder, value):
    """The objects below a folder in which a value can be found: those in packs one by one, Parquet as its rows."""
    found = []
    for path in sorted(each for each in Path(folder).rglob("*") if each.is_file()):
        data = path.read_bytes()
        parts = [data]
        if data.endswith(b"MSPACK01"):
            entries = read_directory(lambda start, length, data=data: data[start : start + length], len(data))
            parts += [data[each.position : each.position + each.stored] for each in entries]
        for part in parts:
            parquet = part[:4] == b"PAR1" and part[-4:] == b"PAR1"
            plain = str(pl.read_parquet(part).rows()).encode() if parquet else part
            if value.encode() in plain:
                found.append(path)
    return found


def spent(client, *customers, view="spending", **options):
    return client.features.lookup([view], entities={"customer": list(customers)}, **options).columns["spent"]


@both_databases
def test_a_person_goes_from_what_is_online_and_from_every_byte(any_client, store_folder):
    client = any_client
    client.data.commit("orders", ORDERS[:3])
    client.data.commit("orders", ORDERS)
    client.features.apply(VIEW)
    client.features.materialize("spending", source="orders@1", upto=NOON + 4 * HOUR)
    client.features.materialize("spending", upto=NOON + 5 * HOUR)
    assert spent(client, SECRET, OTHER, as_of=NOON + 5 * HOUR) == [60.0, 4.0]
    assert holds(store_folder, SECRET), "the test sees what is there"

    found = client.data.forget(WHERE)
    assert found.elsewhere == [
        "feature view spending@1: 2 of 4 rows online",
        "feature view spending: 1 earlier states, given up whole",
    ]
    assert spent(client, SECRET, OTHER, as_of=NOON + 5 * HOUR) == [60.0, 4.0]
    assert client.data.forget(WHERE).elsewhere == found.elsewhere, "looking changes nothing"

    before = client.features.get("spending").state
    done = client.data.forget(WHERE, reason="asked on 3 May", dry_run=False)
    assert done.elsewhere == found.elsewhere
    assert spent(client, SECRET, OTHER, as_of=NOON + 5 * HOUR) == [0.0, 4.0]
    after = client.features.get("spending").state
    assert (after.rows, after.upto, after.artifact_id) == (2, before.upto, before.artifact_id)
    assert after.generation == before.generation + 1
    assert holds(store_folder, SECRET) == []
    assert client.storage.verify().intact
    assert client.data.forget(WHERE).elsewhere == []
    told = str(client.storage.events(limit=100))
    assert "asked on 3 May" in told
    assert SECRET not in told

    same = client.features.materialize("spending", upto=before.upto)
    assert (same.digest, same.rows) == (after.digest, 2), "what is left is what the version gives now"


def test_a_view_that_does_not_have_the_columns_is_computed_again(client):
    client.data.commit("orders", ORDERS)
    client.features.apply(BY_CITY)
    client.features.materialize("cities", upto=NOON + 5 * HOUR)
    done = client.data.forget(WHERE, reason="asked", dry_run=False)
    assert done.elsewhere == ["feature view cities@1: 2 of 4 rows online"]
    found = client.features.lookup(["cities"], entities={"city": ["Rome", "Oslo"]}, as_of=NOON + 5 * HOUR)
    assert found.columns == {"orders": [1, 1], "most": [1.0, 3.0]}


def test_views_of_other_datasets_stay_as_they_are(client):
    client.data.commit("orders", ORDERS)
    client.data.commit("others", ORDERS)
    client.features.apply(VIEW)
    client.features.apply(msgspec.structs.replace(VIEW, name="others", source="others"))
    client.features.materialize("spending", upto=NOON + 5 * HOUR)
    before = client.features.materialize("others", upto=NOON + 5 * HOUR)
    done = client.data.forget(WHERE, datasets=["orders"], reason="asked", dry_run=False)
    assert done.elsewhere == ["feature view spending@1: 2 of 4 rows online"]
    assert client.features.get("others").state == before
    assert spent(client, SECRET, as_of=NOON + 5 * HOUR) == [0.0]
    assert spent(client, SECRET, view="others", as_of=NOON + 5 * HOUR) == [60.0]
    refers = "something that was not made of the rows refers to it"
    assert f"blob {before.digest}: {refers}" in done.left, "equal facts are one blob, which stays and is named"


@pytest.mark.parametrize("where", ["path = 'b.parquet'", f"path = 'b.parquet' AND {WHERE}"])
def test_conditions_over_paths_reach_views(client, tmp_path, where):
    folder = tmp_path / "orders"
    folder.mkdir()
    ORDERS[:2].write_parquet(folder / "a.parquet")
    ORDERS[2:].write_parquet(folder / "b.parquet")
    client.data.commit("orders", folder)
    client.features.apply(VIEW)
    client.features.materialize("spending", upto=NOON + 5 * HOUR)
    gone = 2 if where.endswith("parquet'") else 1
    line = f"feature view spending@1: {gone} of 4 rows online"
    assert client.data.forget(where).elsewhere == [line]
    assert client.data.forget(where, reason="asked", dry_run=False).elsewhere == [line]
    assert spent(client, SECRET, OTHER, as_of=NOON + 5 * HOUR) == [20.0, 1.0 if gone == 2 else 4.0]


def test_what_was_pushed_is_asked_itself(client, store_folder):
    client.data.commit("orders", ORDERS[:2])
    client.features.apply(VIEW)
    client.features.materialize("spending", upto=NOON + 2 * HOUR)
    client.features.push("spending", rows=ORDERS[2:3], upto=NOON + 3 * HOUR)
    client.features.push("spending", rows=ORDERS[3:], upto=NOON + 5 * HOUR)
    done = client.data.forget(WHERE, reason="asked", dry_run=False)
    assert done.elsewhere[0] == "feature view spending@1: 2 of 4 rows online"
    assert spent(client, SECRET, OTHER, as_of=NOON + 5 * HOUR) == [0.0, 4.0]
    assert holds(store_folder, SECRET) == []

    # What is left is one fact that was computed and one that was pushed: a second forgetting knows which is which.
    client.features.push("spending", rows=orders((OTHER, "Lima", 5.0)), upto=NOON + 6 * HOUR)
    second = client.data.forget("price = 1.0", reason="asked again", dry_run=False)
    assert second.elsewhere[0] == (
        "feature view spending@1: 3 of 3 rows online"
        "; of those that were pushed it cannot be told, so all go: push or materialize again"
    )
    assert client.features.get("spending").state.rows == 0
    assert spent(client, OTHER, as_of=NOON + 5 * HOUR) == [0.0]
    assert client.features.push("spending", rows=ORDERS[:1], upto=NOON + 6 * HOUR).rows == 1


def test_what_is_pushed_meanwhile_is_looked_at_again(client, store_folder, monkeypatch):
    client.data.commit("orders", ORDERS[:2])
    client.features.apply(VIEW)
    client.features.materialize("spending", upto=NOON + 2 * HOUR)
    replace, calls = Features.replace_derived, []

    def replace_late(self, changes, *, reason):
        if not calls:
            client.features.push("spending", rows=ORDERS[2:], upto=NOON + 5 * HOUR)
        calls.append(len(changes))
        return replace(self, changes, reason=reason)

    monkeypatch.setattr(Features, "replace_derived", replace_late)
    done = client.data.forget(WHERE, reason="asked", dry_run=False)
    assert calls == [1, 2], "the second time the first state is an earlier one"
    assert done.elsewhere[0] == "feature view spending@1: 2 of 4 rows online"
    assert spent(client, SECRET, OTHER, as_of=NOON + 5 * HOUR) == [0.0, 4.0]
    assert holds(store_folder, SECRET) == []


def test_definitions_with_one_state_lose_it_together(client, store_folder):
    client.data.commit("orders", ORDERS)
    for text in ("one", "two"):
        client.features.apply(msgspec.structs.replace(VIEW, description=text))
        client.features.materialize("spending", upto=NOON + 5 * HOUR)
    first, second = (client.features.get(f"spending@{number}").state for number in (1, 2))
    assert first.artifact_id == second.artifact_id
    done = client.data.forget(WHERE, reason="asked", dry_run=False)
    assert done.elsewhere == [f"feature view spending@{number}: 2 of 4 rows online" for number in (1, 2)]
    for view in ("spending@1", "spending@2"):
        assert spent(client, SECRET, OTHER, view=view, as_of=NOON + 5 * HOUR) == [0.0, 4.0]
    assert holds(store_folder, SECRET) == []


def test_a_version_of_which_nothing_is_left_leaves_a_view_empty(client, tmp_path):
    (tmp_path / "orders").mkdir()
    ORDERS.write_parquet(tmp_path / "orders" / "a.parquet")
    client.data.commit("orders", tmp_path / "orders")
    client.features.apply(VIEW)
    client.features.materialize("spending", upto=NOON + 5 * HOUR)
    done = client.data.forget("path = 'a.parquet'", reason="asked", dry_run=False)
    assert done.elsewhere == ["feature view spending@1: 4 of 4 rows online"]
    assert spent(client, SECRET, OTHER, as_of=NOON + 5 * HOUR) == [0.0, 0.0]


def test_training_sets_lose_the_rows_or_are_to_be_built_again(any_client, store_folder):
    client = any_client
    client.data.commit("orders", ORDERS)
    client.features.apply(VIEW)
    client.features.apply(BY_CITY)
    asked = pl.DataFrame({"customer": [SECRET, OTHER], "asked": [NOON + 5 * HOUR] * 2, "late": [True, False]})
    made = client.features.training_set("mine", rows=asked, views=["spending"], timestamp="asked", label="late")
    cities = pl.DataFrame({"city": ["Rome", "Oslo"], "asked": [NOON + 5 * HOUR] * 2})
    client.features.training_set("places", rows=cities, views=["cities"], timestamp="asked")
    expected = [
        "training-set/mine@1: 1 of 2 rows; features of its other rows may count them: build it again",
        "training-set/places@1 was made of them and does not say which rows (customer): build it again",
    ]
    assert client.data.forget(WHERE).elsewhere == expected
    done = client.data.forget(WHERE, reason="asked", dry_run=False)
    assert done.elsewhere == expected
    left = client.features.load_training_set("mine")
    assert left["customer"].to_list() == [OTHER]
    assert left.columns == made.columns
    detail = client.lineage.artifact("training-set/mine@1")
    assert (detail.artifact.id, detail.artifact.metadata["rows"]) == (made.id, 1)
    assert detail.artifact.digest != made.digest
    assert client.features.load_training_set("places").height == 2
    assert holds(store_folder, SECRET) == []
    assert client.storage.verify().intact


def test_what_was_cut_off_is_finished_when_it_is_repeated(client, store_folder, monkeypatch):
    """Killed after the versions were written again: the second time no version holds the rows any more."""
    client.data.commit("orders", ORDERS)
    client.features.apply(VIEW)
    client.features.materialize("spending", upto=NOON + 5 * HOUR)
    with monkeypatch.context() as patched:
        patched.setitem(ERASERS, "features", "mainspring.nowhere:killed")
        with pytest.raises(ModuleNotFoundError):
            client.data.forget(WHERE, reason="asked", dry_run=False)
    assert holds(store_folder, SECRET)
    done = client.data.forget(WHERE, reason="asked", dry_run=False)
    assert (done.hits, done.elsewhere) == ([], ["feature view spending@1: 2 of 4 rows online"])
    assert holds(store_folder, SECRET) == []
    assert client.data.forget(WHERE).elsewhere == []


def test_a_source_that_cannot_be_computed_again_takes_the_state_with_it(client, store_folder):
    """What is left of the version lacks a column: the view cannot be computed, so nothing of it stays online."""
    client.data.commit("orders", ORDERS)
    client.features.apply(VIEW)
    client.features.materialize("spending", upto=NOON + 5 * HOUR)
    real = client.data.describe("orders@1")
    less = client.data.commit("less", pl.DataFrame({"other": [1]}))
    seal = digest_bytes(b"salt\ncondition")
    client.data.rewrite([Rewritten(real.id, real.digest, less.digest, 2, 1)], reason="asked", seal=seal, files=[])
    done = client.data.forget(WHERE, reason="asked", dry_run=False)
    assert len(done.elsewhere) == 1
    assert done.elsewhere[0].startswith("feature view spending@1: 4 of 4 rows online; they cannot be computed again")
    with pytest.raises(Conflict, match="not materialized"):
        spent(client, OTHER)
    assert holds(store_folder / "blobs", SECRET) == []


def test_a_state_that_was_given_up_is_made_anew(client):
    client.data.commit("orders", ORDERS[2:3])
    client.data.commit("orders", ORDERS)
    client.features.apply(VIEW)
    first = client.features.materialize("spending", source="orders@1", upto=NOON + 5 * HOUR)
    client.features.materialize("spending", source="orders@2", upto=NOON + 5 * HOUR)
    client.data.forget(WHERE, reason="asked", dry_run=False)
    again = client.features.materialize("spending", source="orders@1", upto=NOON + 5 * HOUR)
    assert again.digest == first.digest
    assert again.artifact_id != first.artifact_id, "that one was given up"
    client.features.materialize("spending", source="orders@2", upto=NOON + 5 * HOUR)
    assert client.data.forget("price = 3.0").elsewhere[0] == "feature view spending@1: 1 of 2 rows online"


def test_replacing_refuses_what_is_not_what_it_says(client):
    client.data.commit("orders", ORDERS)
    view = client.features.apply(VIEW)
    state = client.features.materialize("spending", upto=NOON + 5 * HOUR)
    put = client.features.training_set(
        "mine", rows=ORDERS.select("customer", asked="at"), views=["spending"], timestamp="asked"
    )
    file = client.lineage.artifact(put.id).files[0].digest
    stray = client.storage.put_blob([b"no facts"]).digest
    table = io.BytesIO()
    pl.DataFrame({"a": [1]}).write_parquet(table)
    frame = client.storage.put_blob([table.getvalue()]).digest
    for change, error in [
        (Replacement(view.id), NotFound),
        (Replacement(state.artifact_id, stray), Conflict),
        (Replacement(state.artifact_id, state.digest, stray), InvalidInput),
        (Replacement(state.artifact_id, state.digest, frame), InvalidInput),
        (Replacement(state.artifact_id, "", state.digest), InvalidInput),
        (Replacement(state.artifact_id, state.digest, digest_bytes(b"nowhere")), NotFound),
        (Replacement(put.id, file, frame), InvalidInput),
        (Replacement(put.id, file, stray), InvalidInput),
    ]:
        with pytest.raises(error):
            client.features.replace_derived([Replacement(put.id, file), change], reason="asked")
        assert client.features.get("spending").state == state
        assert client.features.load_training_set("mine").height == 4, "all of them or none"
    with pytest.raises(InvalidInput, match="reason"):
        client.features.replace_derived([], reason=" ")
