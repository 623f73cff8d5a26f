"""A table that remembers: what was asked of exactly this content before is not scanned for again.

`KnownTable` answers like the table behind it. It looks first for answers that are remembered of the content as a
whole; then for the states of its parts (the files of a version), scanning only parts that are new, and joins them; and
scans the whole only for what joins in no way. Everything that it learns is remembered. Nothing is opened, and no file
fetched, before a scan needs it.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from mainspring.engines.tables import All, AnyPredicate, ColumnType, Count, Metric, Predicate, Table
from mainspring.kernel.errors import MainspringError
from mainspring.quality.parts import Scan
from mainspring.quality.states import UNMERGED, join_of
from mainspring.quality.states_memory import (
    Memory,
    decoded_answer,
    decoded_schema,
    encoded_answer,
    encoded_schema,
    metric_digest,
    rows_digest,
    schema_digest,
)
from mainspring.quality.states_stable import is_of_a_row, is_of_content

__all__ = ["KnownTable", "NarrowedTable", "Part", "narrowed"]

_ROWS = Count()
_PARTS = 200  # parts whose answers are kept at once: a crash costs the scan of so many
_BATCH = 2000  # metrics of one scan: partitions times expectations is a large number


class Part(msgspec.Struct, frozen=True):
    """A part of a table, in the order of its rows."""

    name: str
    content: str
    """Digest of what it holds: equal digest, equal answers."""
    open: Callable[[], Table]


class KnownTable:
    """A `Table` over content with a digest; see the module. Not for two threads at once: it counts what it reads."""

    def __init__(
        self,
        open_whole: Callable[[], Table],
        *,
        content: str,
        memory: Memory,
        parts: Callable[[], Sequence[Part]] = list,
        files: int = 0,
    ) -> None:
        """Nothing is asked for yet; `parts` only when something is not known, `files` is how many there are."""
        self._open = functools.cache(open_whole)
        self._content = content
        self._memory = memory
        self._find_parts = parts
        self._files = files
        self._opened: dict[str, Table] = {}
        self._answers: dict[Metric, Any] = {}
        self._states: dict[str, dict[Metric, Any]] = collections.defaultdict(dict)
        self._asked: dict[Metric, str] = {}
        self._scanned: set[str] = set()
        self._scanned_whole = False
        self._apart: bool | None = None

    @functools.cached_property
    def parts(self) -> list[Part]:
        """The parts, in the order of their rows; none where there is only one."""
        found = list(self._find_parts())
        return found if len(found) > 1 else []

    @property
    def scan(self) -> Scan:
        """How much was read so far, and how the answers came about."""
        ways = list(self._asked.values())
        rows = self._answers.get(_ROWS) or 0
        touched = self._scanned or self._scanned_whole
        read = [self._states[each.content].get(_ROWS) or 0 for each in self._seen() if each.content in self._scanned]
        return Scan(
            metrics=len(ways),
            known=ways.count("known"),
            merged=ways.count("merged"),
            files=self._files,
            files_scanned=self._files if self._scanned_whole else len(self._scanned),
            rows=rows,
            rows_scanned=rows if self._scanned_whole else sum(read),
            whole=tuple(dict.fromkeys(_words(each) for each, way in self._asked.items() if way == "scanned"))
            if touched and self.parts
            else (),
        )

    def _seen(self) -> list[Part]:
        """The parts, where anything of them was read."""
        return self.parts if self._scanned else []

    def part(self, part: Part) -> KnownTable:
        """One part as a table of its own, that remembers in the same memory."""
        return KnownTable(functools.partial(self._part, part), content=part.content, memory=self._memory)

    def schema(self) -> Mapping[str, ColumnType]:
        """The columns, in order."""
        return self._schema

    @functools.cached_property
    def _schema(self) -> Mapping[str, ColumnType]:
        known = self._memory.recall([self._content], [schema_digest()]).get(self._content, {})
        if schema_digest() in known:
            return decoded_schema(known[schema_digest()])
        found = self._open().schema()
        self._memory.keep({self._content: {schema_digest(): encoded_schema(found)}})
        return found

    def compute(self, metrics: Sequence[Metric]) -> dict[Metric, Any]:
        """Answer all metrics; the number of rows is always among what is learnt."""
        wanted = list(dict.fromkeys([*metrics, _ROWS]))
        self._recall([each for each in wanted if each not in self._answers])
        left = [each for each in wanted if each not in self._answers]
        if left and self._joins():
            self._join(left)
            left = [each for each in left if each not in self._answers]
        for start in range(0, len(left), _BATCH):
            self._scan_whole(left[start : start + _BATCH])
        return {metric: self._answers[metric] for metric in metrics}

    def rows(
        self, predicate: Predicate, *, where: Predicate | None = None, limit: int, columns: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The first rows of which `predicate` holds; parts that are known to have none are not opened."""
        asked = Count(where=where, predicate=predicate)  # type: ignore[arg-type]  # predicates are a closed set
        stable, key = is_of_content(asked), rows_digest(predicate, where, limit, columns)
        if stable:
            known = self._memory.recall([self._content], [key]).get(self._content, {})
            if key in known:
                return decoded_answer(None, known[key])  # type: ignore[no-any-return]  # rows, as they were encoded
        found = self._rows_of_parts(asked, limit=limit, columns=columns)
        if found is None:
            self._scanned_whole = True
            found = self._open().rows(predicate, where=where, limit=limit, columns=columns)
        if stable and (text := encoded_answer(None, found)) is not None:
            self._memory.keep({self._content: {key: text}})
        return found

    def split(self, reasons: Mapping[str, tuple[Predicate, Predicate | None]]) -> tuple[Any, Any]:
        """Divide the rows: this reads them all."""
        self._scanned_whole = True
        return self._open().split(reasons)

    @property
    def frame(self) -> Any:
        """The lazy frame behind the whole, for checks that are programs and read every row; None without one."""
        self._scanned_whole = True
        return getattr(self._open(), "frame", None)

    @property
    def batches(self) -> Any:
        """What gives the rows of the whole in batches, where the engine has no lazy frame."""
        self._scanned_whole = True
        return getattr(self._open(), "batches", None)

    # -- what is remembered of the whole

    def _recall(self, metrics: Sequence[Metric]) -> None:
        stable = {metric_digest(each): each for each in metrics if is_of_content(each)}
        known = self._memory.recall([self._content], list(stable)).get(self._content, {}) if stable else {}
        for digest, text in known.items():
            answer = decoded_answer(stable[digest], text)
            if answer is not UNMERGED:
                self._answers[stable[digest]] = answer
                self._asked[stable[digest]] = "known"

    def _remember(self, content: str, answers: Mapping[Metric, Any]) -> None:
        if kept := _texts(answers):
            self._memory.keep({content: kept})

    def _scan_whole(self, metrics: Sequence[Metric]) -> None:
        found = self._open().compute(metrics)
        self._scanned_whole = True
        self._answers |= found
        self._asked |= dict.fromkeys(found, "scanned")
        self._remember(self._content, found)

    # -- what is known of the parts

    def _joins(self) -> bool:
        """Whether the parts are of one form, so that their answers join."""
        if self._apart is None:
            self._apart = bool(self.parts) and self._of_one_form()
        return self._apart

    def _of_one_form(self) -> bool:
        known = self._memory.recall([part.content for part in self.parts], [schema_digest()])
        learnt: dict[str, dict[str, str]] = {}
        forms = set()
        for part in self.parts:
            text = known.get(part.content, {}).get(schema_digest())
            if text is None:
                text = encoded_schema(self._part(part).schema())
                learnt[part.content] = {schema_digest(): text}
            forms.add(text)
        if learnt:
            self._memory.keep(learnt)
        return forms == {encoded_schema(self._schema)}

    def _part(self, part: Part) -> Table:
        if part.content not in self._opened:
            self._opened[part.content] = part.open()
        return self._opened[part.content]

    def _join(self, metrics: Sequence[Metric]) -> None:
        joins = {each: join for each in metrics if (join := join_of(each, self._schema)) is not None}
        if not joins:
            return
        asks = list(dict.fromkeys([_ROWS, *(ask for join in joins.values() for ask in join.asks)]))
        self._learn(asks)
        joined = {}
        for metric, join in joins.items():
            rows = [[self._states[part.content].get(ask, UNMERGED) for ask in join.asks] for part in self.parts]
            if any(value is UNMERGED for row in rows for value in row):
                continue
            answer = join.of(rows)
            if answer is not UNMERGED:
                joined[metric] = answer
        self._answers |= joined
        self._asked |= dict.fromkeys(joined, "merged")
        self._remember(self._content, joined)

    def _learn(self, asks: Sequence[Metric]) -> None:
        """Know the answers of every part, scanning those that are new; give up a question that one part cannot keep."""
        digests = {metric_digest(ask): ask for ask in asks}
        contents = [part.content for part in self.parts]
        for content, known in self._memory.recall(contents, list(digests)).items():
            for digest, text in known.items():
                self._states[content][digests[digest]] = decoded_answer(digests[digest], text)
        learnt: dict[str, dict[str, str]] = {}
        for part in self.parts:
            states = self._states[part.content]
            hopeless = {ask for ask in asks if any(s.get(ask) is UNMERGED for s in self._states.values())}
            missing = [ask for ask in asks if ask not in states and ask not in hopeless]
            if missing:
                try:
                    found = self._part(part).compute(list(dict.fromkeys([_ROWS, *missing])))
                except MainspringError:
                    break  # the whole is asked, and says what is wrong in words of the whole
                self._scanned.add(part.content)
                learnt[part.content] = _texts(found)
                states |= {ask: decoded_answer(ask, encoded_answer(ask, found[ask])) for ask in found}
            if len(learnt) >= _PARTS:
                self._memory.keep(learnt)
                learnt = {}
        if learnt:
            self._memory.keep(learnt)

    def _rows_of_parts(self, asked: Count, *, limit: int, columns: Sequence[str]) -> list[dict[str, Any]] | None:
        """Rows from those parts that are known to have some; None when that is not known."""
        if not self._joins() or not (is_of_a_row(asked.predicate) and is_of_a_row(asked.where)):
            return None
        counts = [(part, self._states[part.content].get(asked)) for part in self.parts]
        sizes = [self._states[part.content].get(_ROWS) for part in self.parts]
        if any(count is None for _, count in counts) or any(size is None for size in sizes):
            return None
        found: list[dict[str, Any]] = []
        before = 0
        for (part, count), size in zip(counts, sizes, strict=True):
            if count and len(found) < limit and asked.predicate is not None:
                some = self._part(part).rows(
                    asked.predicate, where=asked.where, limit=limit - len(found), columns=columns
                )
                self._scanned.add(part.content)
                found += [{**row, "__row__": row["__row__"] + before} for row in some]
            before += size or 0
        return found


class NarrowedTable:
    """The rows of a table of which a predicate holds, as a `Table`; rows keep their numbers in the whole."""

    def __init__(self, table: Table, within: AnyPredicate) -> None:
        self._table = table
        self._within = within

    def schema(self) -> Mapping[str, ColumnType]:
        """The columns, in order."""
        return self._table.schema()

    def compute(self, metrics: Sequence[Metric]) -> dict[Metric, Any]:
        """Answer all metrics over the rows within."""
        asked = {metric: narrowed(metric, self._within) for metric in metrics}
        found = self._table.compute(list(asked.values()))
        return {metric: found[narrow] for metric, narrow in asked.items()}

    def rows(
        self, predicate: Predicate, *, where: Predicate | None = None, limit: int, columns: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The first rows within of which `predicate` holds."""
        return self._table.rows(predicate, where=_both(self._within, where), limit=limit, columns=columns)

    def split(self, reasons: Mapping[str, tuple[Predicate, Predicate | None]]) -> tuple[Any, Any]:
        """Divide the rows by reasons that apply within only."""
        return self._table.split({name: (bad, _both(self._within, where)) for name, (bad, where) in reasons.items()})


def narrowed(metric: Metric, within: AnyPredicate) -> Metric:
    """The metric, asked of the rows within only."""
    return msgspec.structs.replace(metric, where=_both(within, metric.where))


def _both(within: AnyPredicate, where: Predicate | None) -> AnyPredicate:
    parts: Iterable[Any] = where.parts if isinstance(where, All) else () if where is None else (where,)
    return All((within, *parts)) if parts else within


def _texts(answers: Mapping[Metric, Any]) -> dict[str, str]:
    """What is remembered of answers, by the digest of the question."""
    texts = {metric_digest(each): encoded_answer(each, answers[each]) for each in answers if is_of_content(each)}
    return {digest: text for digest, text in texts.items() if text is not None}


def _words(metric: Metric) -> str:
    kind = metric.__struct_config__.tag
    names = getattr(metric, "columns", ()) or (getattr(metric, "column", ""), getattr(metric, "x", ""))
    about = ", ".join(name for name in names if name)
    predicate = getattr(metric, "predicate", None)
    what = f"{kind} of {predicate.__struct_config__.tag}" if predicate is not None else str(kind)
    return f"{what} ({about})" if about else what
