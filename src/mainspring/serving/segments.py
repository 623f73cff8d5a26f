"""Segments of the prediction log: made from append files, kept as Parquet blobs, found by id and by time.

A segment holds rows of one deployment, in the order of their requests, so that one prediction is found by two
comparisons in the database and a read of one row group. What is not sealed yet is read from the append files of
this machine, so that a prediction can be asked for the moment after it was made.
"""

from __future__ import annotations

import io
import itertools
import operator
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from mainspring.kernel.clock import from_micros, to_micros
from mainspring.kernel.context import Caller, acting_as, caller
from mainspring.kernel.errors import InvalidInput
from mainspring.lineage.graph import add_artifact
from mainspring.lineage.types import File
from mainspring.serving.spool import SUFFIX, Entry, Packed, SpoolHead, read_spool, unpack
from mainspring.serving.tables import SEGMENTS
from mainspring.serving.types import PredictionSegment
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction

__all__ = ["Span", "find_rows", "frame_of", "read_log", "seal", "split_id", "spool_folder"]

_ROW_GROUP = 16_384


class Span(msgspec.Struct, frozen=True):
    """Which part of the log: moments of the predictions, half open; models by `model/name@version`."""

    endpoint: str
    since: datetime | None = None
    until: datetime | None = None
    models: tuple[str, ...] = ()
    since_id: str = ""
    """Least request id: a bound on when the request was made, whatever it was about."""
    after_id: str = ""
    """Only requests after this one."""
    through_id: str = ""
    """Only requests up to this one, which is included."""


class Sealed(msgspec.Struct, frozen=True):
    """Some rows of the log with what they have in common."""

    head: SpoolHead
    segment_id: str
    frame: Any
    first_id: str = ""
    """No request of it, nor of what follows it, is before this one."""


def spool_folder(store: Store) -> Path:
    """Where the append files of this machine lie."""
    return store.path("spool", "predictions")


def split_id(prediction_id: str) -> tuple[str, int]:
    """The request and the row of a prediction id, `prediction/` before it or not.

    Example:
        >>> split_id("0199f0aa-0000-7000-8000-000000000001-7")
        ('0199f0aa-0000-7000-8000-000000000001', 7)
    """
    text = prediction_id.removeprefix("prediction/")
    request, dash, row = text[:36], text[36:37], text[37:]
    if len(request) != 36 or (dash and (dash != "-" or not row.isdigit() or len(row) > 9)):
        raise InvalidInput(f"{prediction_id!r} is not the id of a prediction", hint="write <request id>-<row>")
    return request, int(row or 0)


def frame_of(entries: Sequence[Entry]) -> pl.DataFrame:
    """Entries as one frame: `request`, `row`, `arm`, `caller`, `latency_us`, `at`, then the logged columns.

    Runs of entries with the same columns are joined buffer by buffer; nothing is looked at row by row.
    """
    runs = [_run_frame(list(run)) for _, run in itertools.groupby(entries, key=_shape)]
    whole = runs[0] if len(runs) == 1 else pl.concat(runs, how="diagonal_relaxed")
    return whole.sort("request", "row")


def seal(store: Store, spool: str, head: SpoolHead, entries: Sequence[Entry]) -> None:
    """Make the segment of a spool: a blob, a row, and an artifact that the deployment run made; once per spool."""
    frame = frame_of(entries)
    micros = pl.col("at").cast(pl.Int64)
    first_at, last_at = map(from_micros, frame.select(micros.min().alias("first"), micros.max().alias("last")).row(0))
    data = io.BytesIO()
    frame.write_parquet(data, compression="zstd", compression_level=3, row_group_size=_ROW_GROUP)
    payload = data.getvalue()
    digest = store.blobs.put(payload)
    with (
        acting_as(Caller(principal="serving", workspace=head.workspace, method="system")),
        store.write("serving.log") as tx,
    ):
        if tx.value("SELECT 1 FROM prediction_segment WHERE spool = ?", (spool,)):
            return
        artifact = add_artifact(
            tx,
            "predictions",
            head.endpoint,
            digest=digest,
            size=len(payload),
            metadata={"rows": frame.height, "model": head.model},
            files=[File("predictions.parquet", len(payload), digest)],
            run_id=head.deployment_id,
        )
        tx.insert(
            SEGMENTS,
            PredictionSegment(
                id=artifact.id,
                workspace=head.workspace,
                endpoint=head.endpoint,
                deployment_id=head.deployment_id,
                model_id=head.model_id,
                model=head.model,
                spool=spool,
                first_id=frame["request"][0],
                last_id=frame["request"][-1],
                first_at=first_at,
                last_at=last_at,
                requests=len({entry.request for entry in entries}),
                rows=frame.height,
                digest=digest,
                created_at=tx.now,
            ),
        )


def read_log(store: Store, span: Span, *, columns: Sequence[str] = ()) -> Iterator[Sealed]:
    """The rows of a span, piece by piece in the order of their first requests: from segments, and from append files.

    Append files are read before the list of segments, and left out when a segment has them: what is sealed in
    between is seen once, never lost and never twice.
    """
    open_spools = _open_spools(store, span.endpoint)
    params: list[Any]
    where, params = "WHERE workspace = ? AND endpoint = ?", [caller().workspace, span.endpoint]
    if span.since:
        where, params = f"{where} AND last_at >= ?", [*params, to_micros(span.since)]
    if span.until:
        where, params = f"{where} AND first_at < ?", [*params, to_micros(span.until)]
    if least := max(span.since_id, span.after_id):
        where, params = f"{where} AND last_id >= ?", [*params, least]
    if span.through_id:
        where, params = f"{where} AND first_id <= ?", [*params, span.through_id]
    with store.read() as tx:
        segments = tx.fetch(SEGMENTS, where, params)
        sealed = _sealed(tx, open_spools)
    pieces: list[tuple[str, str, SpoolHead, PredictionSegment | list[Entry]]] = [
        (segment.first_id, segment.id, _head_of(segment), segment) for segment in segments
    ]
    pieces += [
        (min(entry.request for entry in entries), "", head, entries)
        for name, head, entries in open_spools
        if name not in sealed
    ]
    for first_id, segment_id, head, piece in sorted(pieces, key=operator.itemgetter(0)):
        if span.models and head.model not in span.models:
            continue
        if isinstance(piece, PredictionSegment):
            lazy = pl.scan_parquet(io.BytesIO(store.blobs.get(piece.digest)))
        else:
            lazy = frame_of(piece).lazy()
        yield Sealed(head, segment_id, _within(lazy, span, columns).collect(), first_id)


def find_rows(store: Store, request: str, row: int) -> Iterator[tuple[SpoolHead, str, dict[str, Any]]]:
    """What each arm answered for one row: its deployment, its segment (empty when not sealed) and the row."""
    wanted = (pl.col("request") == request) & (pl.col("row") == row)
    open_spools = _open_spools(store)
    with store.read() as tx:
        sealed = _sealed(tx, open_spools)
        segments = tx.fetch(
            SEGMENTS, "WHERE workspace = ? AND last_id >= ? AND first_id <= ?", (caller().workspace, request, request)
        )
    for segment in segments:
        frame = pl.scan_parquet(io.BytesIO(store.blobs.get(segment.digest))).filter(wanted).collect()
        for found in frame.iter_rows(named=True):
            yield _head_of(segment), segment.id, found
    for name, head, entries in open_spools:
        for entry in entries if name not in sealed else ():
            if entry.request == request:
                for found in frame_of([entry]).filter(wanted).iter_rows(named=True):
                    yield head, "", found


def _head_of(segment: PredictionSegment) -> SpoolHead:
    return SpoolHead(
        workspace=segment.workspace,
        endpoint=segment.endpoint,
        deployment_id=segment.deployment_id,
        model_id=segment.model_id,
        model=segment.model,
        created=to_micros(segment.created_at),
    )


def _open_spools(store: Store, endpoint: str = "") -> list[tuple[str, SpoolHead, list[Entry]]]:
    opened = []
    for path in sorted(spool_folder(store).glob(f"*{SUFFIX}")):
        try:
            head, entries = read_spool(path)
        except FileNotFoundError:  # sealed meanwhile: its segment is read instead
            continue
        if head.workspace == caller().workspace and endpoint in ("", head.endpoint) and (found := list(entries)):
            opened.append((path.name, head, found))
    return opened


def _sealed(tx: Transaction, spools: Sequence[tuple[str, SpoolHead, list[Entry]]]) -> set[str]:
    """Those of the append files that a segment has already."""
    names = [name for name, _, _ in spools]
    marks = ", ".join("?" * len(names))
    if not names:
        return set()
    rows = tx.rows(f"SELECT spool FROM prediction_segment WHERE spool IN ({marks})", names)  # noqa: S608 -- marks only
    return {found for (found,) in rows}


def _within(frame: pl.LazyFrame, span: Span, columns: Iterable[str]) -> pl.LazyFrame:
    if span.since:
        frame = frame.filter(pl.col("at") >= span.since)
    if span.until:
        frame = frame.filter(pl.col("at") < span.until)
    if span.since_id:
        frame = frame.filter(pl.col("request") >= span.since_id)
    if span.after_id:
        frame = frame.filter(pl.col("request") > span.after_id)
    if span.through_id:
        frame = frame.filter(pl.col("request") <= span.through_id)
    if wanted := list(columns):
        have = frame.collect_schema().names()
        frame = frame.select([name for name in have if name in wanted or name in ("request", "row", "at", "arm")])
    return frame


def _shape(entry: Entry) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(column.name, column.dtype, column.shape[1:]) for column in entry.columns]


def _run_frame(entries: list[Entry]) -> pl.DataFrame:
    import numpy as np

    counts = np.array([entry.rows for entry in entries])

    def spread(values: list[Any], dtype: Any) -> pl.Series:
        return pl.Series(values, dtype=dtype).gather(np.repeat(np.arange(len(entries)), counts))

    rows = [np.frombuffer(e.index, "<u4") if e.index else np.arange(e.rows, dtype=np.uint32) for e in entries]
    columns: dict[str, Any] = {
        "request": spread([entry.request for entry in entries], pl.String),
        "row": np.concatenate(rows),
        "arm": spread([entry.arm for entry in entries], pl.String),
        "caller": spread([entry.caller for entry in entries], pl.String),
        "latency_us": spread([entry.latency_us for entry in entries], pl.Int64),
    }
    for place, first in enumerate(entries[0].columns):
        columns[first.name] = _joined([entry.columns[place] for entry in entries])
    return pl.DataFrame(columns).with_columns(pl.col("at").cast(pl.Datetime("us", "UTC")))


def _joined(pieces: list[Packed]) -> pl.Series:
    import numpy as np

    if isinstance(pieces[0].data, list) and len(pieces[0].shape) == 1:
        return pl.Series(list(itertools.chain.from_iterable(piece.data for piece in pieces)), dtype=pl.String)
    whole = np.concatenate([unpack(piece) for piece in pieces])
    if whole.dtype == np.float16:
        whole = whole.astype(np.float32)
    return pl.Series(whole.tolist(), dtype=pl.List(pl.String)) if whole.dtype == object else pl.Series(whole)
