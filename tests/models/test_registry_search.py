"""Searching the registry: the filter language, orders, pages; against a plain model of the same rows."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_tools import person, register

from mainspring.client.client import Client
from mainspring.kernel.clock import turned
from mainspring.kernel.context import acting_as
from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.models.registry_query import All, Any, Comparison, Not, parse_query


@pytest.fixture
def filled(client: Client) -> Client:
    """Three models: two about flights, one not."""
    models = client.models
    for name, version, tags, metrics in (
        ("flight-delay", 1, {"team": "ops", "odd key": "1"}, {"auc": 0.7}),
        ("flight-delay", 2, {"team": "ops"}, {"auc": 0.8, "val/loss": 0.3}),
        ("Flight_price", 1, {"team": "sales"}, {"rmse": 12.5}),
        ("fraud", 1, {}, {"auc": 0.9}),
    ):
        made = register(client, name, tags=tags, metrics=metrics, source=f"runs:/{version}/model")
        assert made.version == version
    models.tag("flight-delay", "tier", "1")
    models.tag("fraud", "tier", "2")
    models.alias("flight-delay", "champion", 2)
    models.alias("fraud", "challenger", 1)
    models.set_stage("flight-delay@1", "Archived")
    models.describe("fraud", description="100% stolen_cards")
    with acting_as(person("bob")):
        models.approve("fraud@1")
    return client


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Flight_price@1", "flight-delay@2", "flight-delay@1", "fraud@1"]),
        ("name = 'fraud'", ["fraud@1"]),
        ("name != 'fraud' and version = 1", ["Flight_price@1", "flight-delay@1"]),
        ("name LIKE 'flight%'", ["flight-delay@2", "flight-delay@1"]),
        ("name ILIKE 'flight%'", ["Flight_price@1", "flight-delay@2", "flight-delay@1"]),
        ("name like 'Flight_price'", ["Flight_price@1"]),
        ("name NOT LIKE 'f%'", ["Flight_price@1"]),
        ("name IN ('fraud', \"nothing\")", ["fraud@1"]),
        ("tags.team = 'ops'", ["flight-delay@2", "flight-delay@1"]),
        ("tags.`odd key` = '1'", ["flight-delay@1"]),
        ("tag.team != 'ops'", ["Flight_price@1"]),
        ("tags.team IS NULL", ["fraud@1"]),
        ("NOT tags.team = 'ops'", ["Flight_price@1", "fraud@1"]),
        ("metrics.auc >= 0.8", ["flight-delay@2", "fraud@1"]),
        ("metrics.`val/loss` < 1e0", ["flight-delay@2"]),
        ("alias = 'champion'", ["flight-delay@2"]),
        ("alias != 'champion'", ["Flight_price@1", "flight-delay@1", "fraud@1"]),
        ("alias IS NOT NULL", ["flight-delay@2", "fraud@1"]),
        ("stage = 'ARCHIVED'", ["flight-delay@1"]),
        ("approved", ["fraud@1"]),
        ("not approved and alias is not null", ["flight-delay@2"]),
        ("approved = false AND name = 'fraud'", []),
        ("approval = 'Approved'", ["fraud@1"]),
        ("source_path = 'runs:/2/model'", ["flight-delay@2"]),
        ("attributes.version_number > 1", ["flight-delay@2"]),
        ("version IN (2, 3)", ["flight-delay@2"]),
        ("(name = 'fraud' OR version = 2) AND metrics.auc < 0.85", ["flight-delay@2"]),
        ("created > '2000-01-01' AND updated < '2100-01-01T00:00'", None),
        ("created < 1000", []),
        ("status = 'ready' AND created_by = 'owner'", None),
    ],
)
@pytest.mark.databases("sqlite")
def test_the_filter_of_versions(filled: Client, query: str, found: list[str] | None) -> None:
    page = filled.models.search_versions(query)
    refs = [each.ref.removeprefix("model/") for each in page.versions]
    assert sorted(refs) == sorted(found if found is not None else refs)
    assert found is None or refs == found
    assert found is not None or len(refs) == 4


def test_the_same_on_both_databases_and_over_http(any_client: Client) -> None:
    for name in ("flight-delay", "Flight_price", "fraud"):
        register(any_client, name, tags={"a\\b": "50%"}, metrics={"auc": 0.5})
    models = any_client.models
    assert [each.name for each in models.search("name LIKE 'flight%'").models] == ["flight-delay"]
    assert len(models.search("name ILIKE 'flight%'").models) == 2
    assert len(models.search_versions("tags.`a\\b` LIKE '50%'").versions) == 3
    assert len(models.search_versions("NOT (metrics.auc < 0.5 OR tags.nothing = 'x')").versions) == 3
    page = models.search_versions("", order_by=["created DESC"], limit=2)
    assert [each.name for each in page.versions] == ["fraud", "Flight_price"]
    rest = models.search_versions("", order_by=["created DESC"], limit=2, page=page.next_page)
    assert ([each.name for each in rest.versions], rest.next_page) == (["flight-delay"], "")


@pytest.mark.databases("sqlite")
def test_the_filter_of_models(filled: Client) -> None:
    def names(query: str, **more: object) -> list[str]:
        return [each.name for each in filled.models.search(query, **more).models]

    assert names("") == ["Flight_price", "flight-delay", "fraud"]
    assert names("tags.tier = '1'") == ["flight-delay"]
    assert names("alias = 'champion' OR alias = 'challenger'") == ["flight-delay", "fraud"]
    assert names("description LIKE '100% stolen%'") == ["fraud"]
    assert names("", order_by=["updated DESC"])[0] == "fraud"
    page = filled.models.search("name = 'flight-delay'")
    assert page.latest["flight-delay"].version == 2
    filled.models.create("empty")
    assert "empty" not in filled.models.search("name = 'empty'").latest
    for wrong in ("stage = 'x'", "metrics.auc > 1", "version = 1", "approved"):
        with pytest.raises(InvalidInput, match="not a field"):
            filled.models.search(wrong)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("name = ", "character 8"),
        ("name = 'a' name = 'b'", "AND or OR"),
        ("name = fraud", "quoted"),
        ("(name = 'a'", "parenthesis"),
        ("nmae = 'a'", "not a field"),
        ("name > 'a'", "does not compare texts"),
        ("version LIKE 'a'", "number"),
        ("version = 'a'", "number"),
        ("name = 1", "quotes"),
        ("name IN ()", "expected"),
        ("created > 'yesterday'", "not a time"),
        ("name = 'a' AND", "expected"),
        ("name IS 3", "NULL"),
        ("name NOT 'a'", "behind NOT"),
        ("name = 'a'; DROP TABLE model", "not understood"),
        ("(" * 60 + "approved" + ")" * 60, "deeper"),
        ("x" * 20_000, "characters"),
    ],
)
@pytest.mark.databases("sqlite")
def test_a_filter_that_cannot_be_read_says_where(client: Client, query: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        client.models.search_versions(query)


@pytest.mark.databases("sqlite")
def test_orders_and_tokens_that_are_wrong(filled: Client) -> None:
    for order in (["size"], ["name up"], ["name", "name DESC"], [""]):
        with pytest.raises(InvalidInput):
            filled.models.search_versions(order_by=order)
    page = filled.models.search_versions(limit=1)
    for wrong in ("garbage", "e30=", page.next_page[:-4]):
        with pytest.raises(InvalidInput, match="page token"):
            filled.models.search_versions(limit=1, page=wrong)
    with pytest.raises(InvalidInput, match="another search"):
        filled.models.search_versions("approved", page=page.next_page)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("order", [[], ["created"], ["created DESC"], ["version DESC", "name DESC"], ["updated"]])
def test_pages_show_every_row_once_while_others_write(client: Client, order: list[str]) -> None:
    chance = random.Random(1)
    for number in range(23):
        with turned(timedelta(seconds=chance.randrange(3))):  # several at one moment
            register(client, f"m{number % 5}")
    seen: list[str] = []
    page = ""
    while True:
        found = client.models.search_versions(order_by=order, limit=4, page=page)
        seen += [each.ref for each in found.versions]
        if not found.next_page:
            break
        page = found.next_page
        if len(seen) == 8:
            client.models.delete_version(seen[0])
    assert len(seen) == len(set(seen)) == 23


@pytest.mark.databases("sqlite")
def test_a_page_of_versions_costs_few_queries(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from mainspring.store.transaction import Transaction

    for number in range(30):
        register(client, f"m{number % 10}", metrics={"auc": 0.5})
    asked: list[str] = []
    rows, fetch = Transaction.rows, Transaction.fetch
    monkeypatch.setattr(Transaction, "rows", lambda self, sql, *rest: asked.append(sql) or rows(self, sql, *rest))
    monkeypatch.setattr(Transaction, "fetch", lambda self, *rest: asked.append(str(rest)) or fetch(self, *rest))
    counts = []
    for limit in (3, 30):
        asked.clear()
        assert len(client.models.search_versions(limit=limit).versions) == limit
        assert len(client.models.search(limit=limit).models) == min(limit, 10)
        assert len(client.models.versions("m0", limit=limit)) == 3
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 12


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        parse_query(text)
    except MainspringError as error:
        assert isinstance(error, InvalidInput)


NAMES = st.sampled_from(["name", "stage", "source"])
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=8)
OPS = st.sampled_from(["=", "!=", "LIKE"])
LEAVES = st.builds(lambda field, op, value: Comparison(field, "", op, (value,)), NAMES, OPS, VALUES)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda a, b: All((a, b)), inner, inner),
        st.builds(lambda a, b: Any((a, b)), inner, inner),
    ),
    max_leaves=8,
)


def written(tree: object) -> str:
    """A filter as text, every part of it in parentheses."""
    if isinstance(tree, Comparison):
        value = str(tree.values[0]).replace("'", "''")
        return f"{tree.field} {tree.op} '{value}'"
    if isinstance(tree, Not):
        return f"NOT ({written(tree.part)})"
    word = " AND " if isinstance(tree, All) else " OR "
    return word.join(f"({written(part)})" for part in tree.parts)


def bare(tree: object) -> object:
    """A filter without where its parts stand in the text."""
    if isinstance(tree, Comparison):
        return ("is", tree.field, tree.op, tree.values)
    if isinstance(tree, Not):
        return ("not", bare(tree.part))
    return (type(tree).__name__, *(bare(part) for part in tree.parts))


@given(TREES)
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_what_is_read(tree: object) -> None:
    assert bare(parse_query(written(tree))) == bare(tree)
