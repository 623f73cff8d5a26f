"""Forgetting reaches what is online of feature views, and training sets; see `ERASERS` on the hooks page.

The condition is asked where the rows are, as for datasets, and never leaves this machine. A state is computed again
from the version that lost the rows: what it has less is what stemmed from them, whatever the view made of their
columns. Rows that were pushed are in no version: their facts are asked themselves, and go where they cannot answer.
States that were online before are given up; nothing reads them. A training set is asked as a dataset is.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.data.forgetting import Condition
from mainspring.data.forgetting_types import Forgotten
from mainspring.data.service import Data
from mainspring.data.tabular import scan_files, table_files
from mainspring.data.trees import walk
from mainspring.features.derived import Derived, DerivedSet, DerivedState, DerivedView, Replacement
from mainspring.features.service import Features
from mainspring.features.types import FeatureView
from mainspring.kernel.clock import to_micros
from mainspring.kernel.errors import Conflict, MainspringError, NotFound
from mainspring.lineage.service import Lineage
from mainspring.lineage.types import File
from mainspring.store.service import Storage

if TYPE_CHECKING:
    import polars as pl

__all__ = ["erase_features"]

_TRIES = 3
_PATH = "path"


def erase_features(data: Data, told: Forgotten) -> list[str]:
    """Find, and where `told.apply` says so remove, what stems of forgotten rows; what was found, in words."""
    backend = data._backend  # noqa: SLF001 -- another room of the same client
    features = Features(backend)
    for last in (*[False] * (_TRIES - 1), True):
        work = _Work(data, Storage(backend), Condition(told.where), apply=told.apply)
        work.look(features.derived(told.versions))
        if not (told.apply and work.changes):
            break
        try:
            told.left.extend(features.replace_derived(list(work.changes.values()), reason=told.reason))
        except Conflict:  # a view was materialized, or pushed to, while it was looked at
            if last:
                raise
        else:
            break
    return work.lines


class _Work:
    """One look at everything that was derived, and what is to be done about it."""

    def __init__(self, data: Data, storage: Storage, condition: Condition, *, apply: bool) -> None:
        self.data = data
        self.storage = storage
        self.condition = condition
        self.apply = apply
        self.changes: dict[str, Replacement] = {}
        self.lines: list[str] = []

    def look(self, derived: Derived) -> None:
        for view in derived.views:
            self._look_at_view(view)
        for each in derived.sets:
            self._look_at_set(each)

    def _look_at_view(self, view: DerivedView) -> None:
        for each in view.states:
            self._look_at_state(each)
        for artifact_id in view.earlier:
            self.changes[artifact_id] = Replacement(artifact_id)
        if view.earlier:
            self.lines.append(f"feature view {view.name}: {len(view.earlier):,} earlier states, given up whole")

    def _look_at_state(self, found: DerivedState) -> None:
        import polars as pl

        from mainspring.features.online import decode_facts, encode_facts

        state = found.state
        facts = decode_facts(found.view, self._blob(state.digest))
        ref = f"feature view {state.name}@{state.version}"
        computed, pushed = facts[: found.rows], facts[found.rows :]
        again, why = (self._compute(found, computed) if found.source else computed), ""
        if isinstance(again, str):
            why = f"; they cannot be computed again ({again}): materialize the view"
            kept = facts.clear()
        else:
            still, sure = self._still(found.view, pushed)
            kept = pl.concat([again, still])
            if not sure:
                why = "; of those that were pushed it cannot be told, so all go: push or materialize again"
        gone = max(_missing(kept, facts), facts.height - kept.height)
        if not gone:
            return
        self.lines.append(f"{ref}: {gone:,} of {facts.height:,} rows online{why}")
        after, count = "", 0
        if self.apply and not isinstance(again, str):
            after, count = self.storage.put_blob([encode_facts(kept)]).digest, again.height
        change = Replacement(state.artifact_id, state.digest, after, count)
        other = self.changes.get(state.artifact_id)
        if other is not None and other != change:  # two definitions had one state, and have two now
            change = Replacement(state.artifact_id, state.digest)
        self.changes[state.artifact_id] = change

    def _compute(self, found: DerivedState, before: pl.DataFrame) -> pl.DataFrame | str:
        """The facts as the source without the rows gives them; or why it does not."""
        from polars.exceptions import PolarsError

        from mainspring.features.facts import facts_of

        try:
            source = self._source(found.source)
            if source is None:
                return before.clear()
            return facts_of(found.view, source, upto=to_micros(found.upto)).select(before.columns).cast(before.schema)
        except (MainspringError, PolarsError, OSError) as error:
            return str(error).partition("\n")[0][:300]

    def _source(self, version: str) -> pl.LazyFrame | None:
        """A dataset version without the rows; None where nothing is left. After it was written again it has none."""
        import polars as pl

        artifact = Lineage(self.data._backend).artifact(version, kind="dataset").artifact  # noqa: SLF001 -- as above
        try:
            files = table_files(list(walk(self.data.nodes, artifact.digest)))
        except NotFound:
            return None  # its bytes were given up
        if not self.condition.columns:
            files = [each for each in files if not self.condition.takes_file(each.path)]
        if not files:
            return None
        copies = self.data.local_copies(files)
        if not (self.condition.by_path and self.condition.columns):
            return self._without(scan_files(files, copies))
        parts = [self._without_by_path(file, copy) for file, copy in zip(files, copies, strict=True)]
        return pl.concat(parts, how="vertical")

    def _without_by_path(self, file: File, copy: Path) -> pl.LazyFrame:
        import polars as pl

        frame = scan_files([file], [copy])
        if _PATH in frame.collect_schema():
            return self._without(frame)
        return self._without(frame.with_columns(pl.lit(file.path).alias(_PATH))).drop(_PATH)

    def _without(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        known = frame.collect_schema()
        if not self.condition.columns or any(name not in known for name in self.condition.columns):
            return frame
        return frame.filter(~self.condition.expression.fill_null(value=False))

    def _still(self, view: FeatureView, pushed: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
        """Facts that were pushed, without those that are meant; none where they do not say, and that it is so."""
        if not pushed.height:
            return pushed, True
        plain = [*view.join_keys, *(each.name for each in view.features if each.expression in ("", each.name))]
        meant = _meant(pushed.select(plain), self.condition)
        return (pushed.clear(), False) if meant is None else (pushed.filter(~meant), True)

    def _look_at_set(self, found: DerivedSet) -> None:
        import polars as pl

        rows = pl.read_parquet(io.BytesIO(self._blob(found.digest)))
        meant = _meant(rows, self.condition)
        if meant is None:
            names = [each for each in (*self.condition.columns, _PATH) if each not in rows.columns]
            self.lines.append(f"{found.ref} was made of them and does not say which rows ({names[0]}): build it again")
            return
        counted = "; features of its other rows may count them: build it again" if found.computed else ""
        gone = int(meant.sum())
        if gone or counted:
            self.lines.append(f"{found.ref}: {gone:,} of {rows.height:,} rows{counted}")
        if gone:
            after = ""
            if self.apply:
                file = io.BytesIO()
                rows.filter(~meant).write_parquet(file, compression="zstd", compression_level=3)
                after = self.storage.put_blob([file.getvalue()]).digest
            self.changes[found.id] = Replacement(found.id, found.digest, after)

    def _blob(self, digest: str) -> bytes:
        return b"".join(self.storage.get_blob(digest))


def _meant(rows: pl.DataFrame, condition: Condition) -> pl.Series | None:
    """Which rows a condition means; None where they lack a column of it, or have another type there."""
    import polars as pl

    wanted = [*condition.columns, *([_PATH] if condition.by_path else [])]
    if any(name not in rows.columns for name in wanted):
        return None
    try:
        return rows.select(condition.expression.fill_null(value=False).alias("meant"))["meant"]
    except pl.exceptions.PolarsError:
        return None


def _missing(kept: pl.DataFrame, facts: pl.DataFrame) -> int:
    """How many facts are not among those that are kept."""
    return facts.join(kept, on=facts.columns, how="anti", nulls_equal=True).height
