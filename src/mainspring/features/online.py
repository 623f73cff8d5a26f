"""The online store: the materialized facts of each view, read as of any moment.

Facts lie in the blob store; the database says which are current. A process builds the timelines of a view
when it first needs them and keeps them in memory until the view's generation moves, which is one indexed
look-up for each call. Because the timelines keep their history, asking as of a past moment answers what
would have been answered then.
"""

from __future__ import annotations

import io
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence

import polars as pl
from polars.exceptions import PolarsError

from mainspring.features.definitions import KIND, find_view
from mainspring.features.facts import facts_schema
from mainspring.features.point_in_time import check_columns
from mainspring.features.state import ViewState
from mainspring.features.tables import STATES
from mainspring.features.types import FeatureState, FeatureView
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound, nearest
from mainspring.kernel.names import parse_reference
from mainspring.lineage.graph import aliases
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction

__all__ = ["Online", "current_state", "decode_facts", "encode_facts", "online"]

_VIEWS_IN_MEMORY = 256
_stores: weakref.WeakKeyDictionary[Store, Online] = weakref.WeakKeyDictionary()
_opening = threading.Lock()


class Online:
    """The views of one store as this process has them in memory. Safe for many threads; see `online`."""

    def __init__(self, store: Store) -> None:
        self._store = weakref.ref(store)
        self._lock = threading.Lock()
        self._resolved: dict[tuple[str, ...], tuple[object, list[tuple[FeatureState, ViewState]]]] = {}
        self._states: OrderedDict[str, tuple[int, ViewState]] = OrderedDict()

    def views(self, refs: Sequence[str]) -> list[tuple[FeatureState, ViewState]]:
        """The current state of each view, by reference; raises `NotFound` or `Conflict` for one that has none."""
        store = self._open_store()
        with store.read() as tx:
            # The sum moves with every materialization: while it stands, what the references meant they mean still.
            stamp = tx.row("SELECT count(*), sum(generation) FROM feature_state WHERE workspace = ?", (tx.workspace,))
            asked = (tx.workspace, *refs)
            known = self._resolved.get(asked)
            if known is not None and known[0] == stamp:
                return known[1]
            current = [current_state(tx, ref) for ref in refs]
        found = [(state, self._timelines(state)) for state in current]
        if all(parse_reference(ref, kind=KIND).version.isdecimal() or "@" not in ref for ref in refs):  # aliases move
            if len(self._resolved) > _VIEWS_IN_MEMORY:
                self._resolved.clear()
            self._resolved[asked] = stamp, found
        return found

    def read(self, refs: Sequence[str], rows: pl.DataFrame, moments: pl.Series) -> pl.DataFrame:
        """The features of `refs` side by side for each of `rows`, as known at each of `moments`.

        Args:
            refs: Views by name (the newest that is materialized), or with `@version`.
            rows: Has the join keys of all views.
            moments: Microseconds since 1970 UTC, one for each row.
        """
        states = [state for _, state in self.views(refs)]
        check_columns([state.view for state in states])
        return pl.DataFrame([column for state in states for column in state.read(rows, moments)])

    def grown(self, state: FeatureState, view: FeatureView, facts: pl.DataFrame) -> pl.DataFrame:
        """All facts of a state and `facts` after them; raises `InvalidInput` when the keys are of another type."""
        held = self._facts(state, view)
        try:
            return pl.concat([held, facts.select(held.columns).cast(held.schema)])
        except PolarsError as error:
            message = f'the join keys do not fit what is online of feature view "{view.name}"'
            raise InvalidInput(message) from error

    def _timelines(self, state: FeatureState) -> ViewState:
        held = self._states.get(state.view_id)
        if held is not None and held[0] >= state.generation:
            return held[1]
        with self._lock:  # one thread builds, the others wait for it rather than build the same
            held = self._states.get(state.view_id)
            if held is not None and held[0] >= state.generation:
                return held[1]
            built = self._build(state)
            self._states[state.view_id] = state.generation, built
            self._states.move_to_end(state.view_id)
            if len(self._states) > _VIEWS_IN_MEMORY:
                self._states.popitem(last=False)
            return built

    def _build(self, state: FeatureState) -> ViewState:
        store = self._open_store()
        with store.read() as tx:
            view = find_view(tx, state.view_id).definition
        return ViewState(view, self._facts(state, view))

    def _facts(self, state: FeatureState, view: FeatureView) -> pl.DataFrame:
        return decode_facts(view, self._open_store().blobs.get(state.digest))

    def _open_store(self) -> Store:
        store = self._store()
        if store is None:
            raise Conflict("the store of these features was closed")
        return store


def online(store: Store) -> Online:
    """The one `Online` of a store in this process."""
    found = _stores.get(store)
    if found is None:
        with _opening:
            found = _stores.setdefault(store, Online(store))
    return found


def current_state(tx: Transaction, ref: str) -> FeatureState:
    """What is materialized of the view `ref`: `name@version`, an id, or `name` for the newest version with a state."""
    reference = parse_reference(ref, kind=KIND)
    where = "WHERE workspace = ? AND (name = ? OR view_id = ?)"
    params: list[str | int] = [tx.workspace, reference.name, reference.name]
    version = reference.version
    if version and not version.isdigit():
        version = str(aliases(tx, KIND, reference.name).get(version, -1))
    if version:
        where += " AND version = ?"
        params.append(int(version))
    found = tx.fetch_one(STATES, f"{where} ORDER BY version DESC LIMIT 1", params)
    if found is None:
        raise _not_materialized(tx, ref, reference.name)
    return found


def encode_facts(facts: pl.DataFrame) -> bytes:
    """Facts as a Parquet file."""
    file = io.BytesIO()
    facts.write_parquet(file, compression="zstd", compression_level=3)
    return file.getvalue()


def decode_facts(view: FeatureView, data: bytes) -> pl.DataFrame:
    """Read facts of `view`; raise `InvalidInput` when these are not."""
    try:
        facts = pl.read_parquet(data)
    except PolarsError as error:
        raise InvalidInput(f'these are not facts of feature view "{view.name}": no Parquet file') from error
    expected = facts_schema(view)
    found = dict(facts.schema)
    wrong = [name for name in found.keys() | expected.keys() if expected.get(name, found.get(name)) != found.get(name)]
    unknown = found.keys() - expected.keys() - set(view.join_keys)
    missing = set(view.join_keys) - found.keys()
    if wrong or unknown or missing:
        names = ", ".join(sorted({*wrong, *unknown, *missing}))
        raise InvalidInput(f'these are not facts of feature view "{view.name}": the columns {names} do not fit')
    return facts


def _not_materialized(tx: Transaction, ref: str, name: str) -> Conflict | NotFound:
    find_view(tx, ref)  # raises when there is no such view at all
    rows = tx.rows("SELECT DISTINCT name FROM feature_state WHERE workspace = ? LIMIT 1000", (tx.workspace,))
    known = nearest(name, [row[0] for row in rows])
    hint = f'client.features.materialize("{ref}")'
    return Conflict(f'feature view "{ref}" is not materialized', hint=hint, known=known)
