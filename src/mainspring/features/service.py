"""The operations of the feature store, and what is composed of them where the data is read."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mainspring.data.service import Data
from mainspring.features.definitions import KIND, add_view, find_view, version_of
from mainspring.features.recording import JOIN_RULES, Part, store_state, store_training_set
from mainspring.features.service_derived import DerivedOperations
from mainspring.features.types import FeatureState, FeatureVectors, FeatureView, FeatureViewVersion, TrainingSet
from mainspring.kernel.clock import now, to_micros
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hooks import AFTER_TABLE, tell
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import Upload, operation
from mainspring.lineage.graph import find_artifact
from mainspring.lineage.listing import newest
from mainspring.lineage.service import Lineage
from mainspring.lineage.types import Artifact
from mainspring.store.service import Storage

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Features"]


class Features(DerivedOperations, room="features"):
    """Feature views, training sets as of the past, and the same features online."""

    @operation(permission="features:write", writes=True)
    def apply(self, definition: FeatureView) -> FeatureViewVersion:
        """Store a definition as the newest version of its view; nothing happens when it is that already."""
        with self.store.write() as tx:
            return add_view(tx, definition)

    @operation(permission="features:read")
    def views(self) -> list[FeatureViewVersion]:
        """The newest version of every view, by name."""
        with self.store.read() as tx:
            return [version_of(tx, each) for each in newest(tx, KIND)]

    @operation(permission="features:read")
    def get(self, ref: str) -> FeatureViewVersion:
        """One version of a view: `name` (the newest), `name@version`, `name@alias` or an id."""
        with self.store.read() as tx:
            return find_view(tx, ref)

    @operation(permission="features:write", writes=True, resource="view")
    def put_state(
        self, view: str, *, upto: datetime, used: list[str], body: Upload, append: bool = False
    ) -> FeatureState:
        """Put facts online as the whole state of a view, under a run that used `used`; see `materialize`.

        Args:
            view: The version of the view.
            upto: The moment until which facts are in the body.
            used: Ids of the artifacts that the facts were computed from.
            body: A Parquet file of facts.
            append: Add them to what is online instead; see `push`.
        """
        from mainspring.features.online import decode_facts, encode_facts, online

        with self.store.read() as tx:
            version = find_view(tx, view)
        data = b"".join(bytes(piece) for piece in body)
        facts = decode_facts(version.definition, data)
        before = version.state if append else None
        if before is not None:
            data = encode_facts(online(self.store).grown(before, version.definition, facts))
        digest = self.store.blobs.put(data)
        part = Part(digest, len(data), facts.height)
        with self.store.write() as tx:
            return store_state(tx, version, part, upto=to_micros(upto), used=used, grows=before)

    @operation(permission="features:read")
    def lookup(
        self,
        views: list[str],
        *,
        entities: dict[str, list[Any]],
        as_of: datetime | list[datetime] | None = None,
        details: bool = False,
    ) -> FeatureVectors:
        """The features of many entities at once, as known now or at a given moment.

        Args:
            views: Views by name, the newest version that is materialized, or with `@version`.
            entities: The join keys, column by column.
            as_of: One moment, or one for each row; now when left out. A past moment is answered as it
                would have been then.
            details: Also say when each latest value happened, and what is not there or too old.
        """
        from mainspring.features.answers import look_up

        return look_up(self.store, views, entities=entities, as_of=as_of, details=details)

    @operation(permission="features:write", writes=True, resource="name")
    def put_training_set(
        self,
        name: str,
        *,
        rows: int,
        columns: list[str],
        label: str,
        timestamp: str,
        used: dict[str, str],
        body: Upload,
    ) -> TrainingSet:
        """Store the result of a join, under a run that used `used`; see `training_set`.

        Args:
            name: The training set's name.
            rows: How many rows it has.
            columns: Its columns, in order.
            label: The column to be learned, or an empty text.
            timestamp: The column that said as of when.
            used: Ids of the artifacts it was computed from (dataset versions, view versions), each with its role.
            body: A Parquet file.
        """
        check_name(name, what="training set name")
        with self.store.read() as tx:
            for each in used:
                find_artifact(tx, each)
        digest, size = self.store.blobs.put_stream(body)
        about = {"rows": rows, "columns": columns, "label": label, "timestamp": timestamp, "join_rules": JOIN_RULES}
        with self.store.write() as tx:
            return store_training_set(tx, name, digest=digest, size=size, about=about, used=used)

    # Below: what runs where the caller is, on both backends, composed of operations.

    def materialize(self, view: str, *, upto: datetime | None = None, source: str = "") -> FeatureState:
        """Compute a view from its source and put it online: a run of the kind `materialization`.

        Args:
            view: The view, `name` or `name@version`.
            upto: Only what was known at this moment; now when left out.
            source: Another version of the source than the newest, for example `flights@v3`.

        Raises:
            Conflict: what is online already reaches further than `upto`.
        """
        from mainspring.features.facts import facts_of
        from mainspring.features.online import encode_facts

        version = self.get(view)
        limit = upto or now()
        dataset = self._dataset(source or version.definition.source)
        facts = facts_of(version.definition, self._scan(dataset), upto=to_micros(limit))
        return self.put_state(version.id, upto=limit, used=[dataset.id], body=[encode_facts(facts)])

    def push(self, view: str, *, rows: pl.DataFrame, upto: datetime | None = None) -> FeatureState:
        """Add rows that just became known to what is online, without reading the source again.

        A row that is pushed twice counts twice in windows; the next `materialize` puts that right, because the
        source is what holds.

        Args:
            view: The view, `name` or `name@version`.
            rows: Rows as the source has them.
            upto: Only what was known at this moment; now when left out.
        """
        from mainspring.features.facts import facts_of
        from mainspring.features.online import encode_facts

        version = self.get(view)
        limit = upto or now()
        facts = facts_of(version.definition, rows, upto=to_micros(limit))
        return self.put_state(version.id, upto=limit, used=[], body=[encode_facts(facts)], append=True)

    def join(
        self,
        rows: pl.DataFrame,
        views: Sequence[str | FeatureView],
        *,
        timestamp: str,
        sources: dict[str, str] | None = None,
    ) -> pl.DataFrame:
        """Add the features of `views` to `rows`, each as of the row's `timestamp`; see `features.point_in_time`.

        Args:
            rows: Has the join keys and the timestamp; comes back with its rows in the same order.
            views: Stored views by reference, or definitions that need not be stored.
            timestamp: The column that says as of when.
            sources: Another version of a source than the newest: `{"flights": "flights@v3"}`.
        """
        return self._join(rows, views, timestamp=timestamp, sources=sources or {})[0]

    def training_set(
        self,
        name: str,
        *,
        rows: pl.DataFrame | str,
        views: Sequence[str],
        timestamp: str,
        label: str = "",
        sources: dict[str, str] | None = None,
        uses: Iterable[str] = (),
    ) -> TrainingSet:
        """Join, and keep the result as an artifact that knows the versions of everything it came from.

        Args:
            name: The training set's name.
            rows: A frame, or a dataset's reference.
            views: Stored views by reference.
            timestamp: The column that says as of when.
            label: The column to be learned.
            sources: Another version of a source than the newest.
            uses: References of the datasets that a frame given as `rows` was taken from.
        """
        used = {self._dataset(ref).id: "rows" for ref in uses}
        if isinstance(rows, str):
            dataset = self._dataset(rows)
            used[dataset.id] = "rows"
            rows = self._scan(dataset).collect()
        if label and label not in rows.columns:
            raise InvalidInput(f"the label {label!r} is not a column of the rows", known=rows.columns[:20])
        joined, ids = self._join(rows, views, timestamp=timestamp, sources=sources or {})
        file = io.BytesIO()
        joined.write_parquet(file, compression="zstd", compression_level=3)
        made = self.put_training_set(
            name,
            rows=joined.height,
            columns=joined.columns,
            label=label,
            timestamp=timestamp,
            used={**ids, **used},
            body=[file.getvalue()],
        )
        tell(AFTER_TABLE, made.ref, self, made.ref, joined)
        return made

    def load_training_set(self, ref: str) -> pl.DataFrame:
        """The rows of a training set: `name` (the newest), `name@version` or an id."""
        import polars as pl

        detail = Lineage(self._backend).artifact(ref, kind="training-set")
        return pl.read_parquet(b"".join(Storage(self._backend).get_blob(detail.files[0].digest)))

    def _join(
        self, rows: pl.DataFrame, views: Sequence[str | FeatureView], *, timestamp: str, sources: dict[str, str]
    ) -> tuple[pl.DataFrame, dict[str, str]]:
        """The joined frame, and the artifacts that were used with their roles."""
        import polars as pl

        from mainspring.features.facts import facts_of
        from mainspring.features.point_in_time import read_views
        from mainspring.features.state import ViewState, moments_of

        moments = moments_of(rows, timestamp)
        used: dict[str, str] = {}
        frames: dict[str, pl.LazyFrame] = {}
        states = []
        for each in views:
            if isinstance(each, FeatureView):
                view = each.check()
            else:
                version = self.get(each)
                view, used[version.id] = version.definition, "feature-view"
            ref = sources.get(view.source, view.source)
            if ref not in frames:
                dataset = self._dataset(ref)
                used[dataset.id] = "source"
                frames[ref] = self._scan(dataset)
            states.append(ViewState(view, facts_of(view, frames[ref])))
        return pl.concat([rows, read_views(rows, states, moments)], how="horizontal"), used

    def _dataset(self, ref: str) -> Artifact:
        return Lineage(self._backend).artifact(ref, kind="dataset").artifact

    def _scan(self, dataset: Artifact) -> pl.LazyFrame:
        return Data(self._backend).scan(dataset.id)
