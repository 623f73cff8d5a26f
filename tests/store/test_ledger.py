"""The chain of audit events: what was edited, dropped or reordered is named."""

from __future__ import annotations

import pytest

from mainspring.store.store import Store
from mainspring.store.transaction import Transaction


@pytest.fixture
def chained(store: Store) -> Store:
    for number in range(6):
        with store.write("test.change") as tx:
            tx.note(f"thing/{number}", value=number)
    return store


def tamper(store: Store, sql: str) -> None:
    with store.bookkeeping() as tx:
        tx.execute(sql)


def swap(tx: Transaction) -> None:
    tx.execute("UPDATE ledger SET seq = 100 WHERE seq = 3")
    tx.execute("UPDATE ledger SET seq = 3 WHERE seq = 4")
    tx.execute("UPDATE ledger SET seq = 4 WHERE seq = 100")


def test_an_untouched_chain_is_intact(chained: Store) -> None:
    report = chained.ledger.verify()
    assert report.intact
    assert report.events == 6
    assert [event.changes[0].resource for event in chained.ledger.events(limit=2)] == ["thing/5", "thing/4"]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE ledger SET actor = 'somebody else' WHERE seq = 3",
        "UPDATE ledger SET at = at + 1 WHERE seq = 3",
        "UPDATE ledger SET changes = '[]' WHERE seq = 3",
    ],
)
def test_an_edited_event_is_named(chained: Store, sql: str) -> None:
    tamper(chained, sql)
    report = chained.ledger.verify()
    assert len(report.problems) == 1
    assert "event 3" in report.problems[0] and "edited" in report.problems[0]


def test_a_dropped_event_is_named(chained: Store) -> None:
    tamper(chained, "DELETE FROM ledger WHERE seq = 3")
    assert chained.ledger.verify().problems == ["event 3 missing before event 4"]


def test_reordered_events_are_found(chained: Store) -> None:
    with chained.bookkeeping() as tx:
        swap(tx)
    report = chained.ledger.verify()
    assert any("event 3" in problem for problem in report.problems)
    assert any("event 4" in problem for problem in report.problems)


def test_a_cut_tail_is_found_against_an_anchor(chained: Store) -> None:
    anchor = chained.ledger.anchor()
    assert anchor is not None and anchor.seq == 6
    tamper(chained, "DELETE FROM ledger WHERE seq > 4")
    assert chained.ledger.verify().problems == ["event 6 was anchored and is missing"]


def test_a_rewritten_history_is_found_against_an_anchor(chained: Store) -> None:
    chained.ledger.anchor()
    _rewrite(chained)
    report = chained.ledger.verify()
    assert report.problems and "anchored" in report.problems[-1]


def _rewrite(store: Store) -> None:
    """What somebody does who may write to the database and knows the rules: remake the chain whole."""
    with store.bookkeeping() as tx:
        tx.execute("DELETE FROM ledger")
    for number in range(6):
        with store.write("test.change") as tx:
            tx.note(f"thing/{number}", value=-number)


def test_a_failed_change_leaves_no_event(chained: Store) -> None:
    with pytest.raises(ValueError, match="no"), chained.write("test.fail") as tx:
        tx.note("thing/7")
        raise ValueError("no")
    assert chained.ledger.verify().events == 6


def test_a_write_that_changed_nothing_leaves_no_event(chained: Store) -> None:
    with chained.write("test.idle"):
        pass
    assert chained.ledger.verify().events == 6
