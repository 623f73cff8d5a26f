"""Where states are remembered: by the digest of the content and the digest of what was asked, as JSON text.

A digest of a question is taken under a form number, which grows when an engine's answer comes to mean something else.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from mainspring.engines.tables import ColumnType, Frequent, Metric, Predicate
from mainspring.kernel.hashing import digest_value
from mainspring.quality.states import COMPLETE, UNMERGED

__all__ = [
    "LocalMemory",
    "Memory",
    "decoded_answer",
    "decoded_schema",
    "encoded_answer",
    "encoded_schema",
    "metric_digest",
    "rows_digest",
    "schema_digest",
]

_FORM = 1
_LONGEST = 500_000  # characters of an answer that is kept; a longer one is asked again
_TOO_MANY = '"too many"'


class Memory(Protocol):
    """Answers by content and question. Forgetting is always allowed: it costs a scan."""

    def recall(self, contents: Sequence[str], questions: Sequence[str]) -> dict[str, dict[str, str]]:
        """The known answers, by content and question; a content of which nothing is known may be left out."""
        ...

    def keep(self, answers: Mapping[str, Mapping[str, str]]) -> None:
        """Remember answers, by content and question."""
        ...


class LocalMemory:
    """A memory for as long as the process lives."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, str]] = {}

    def recall(self, contents: Sequence[str], questions: Sequence[str]) -> dict[str, dict[str, str]]:
        """The known answers."""
        asked = set(questions)
        known = {each: self.answers.get(each, {}) for each in contents}
        return {each: {key: texts[key] for key in asked & set(texts)} for each, texts in known.items() if texts}

    def keep(self, answers: Mapping[str, Mapping[str, str]]) -> None:
        """Remember answers."""
        for content, texts in answers.items():
            self.answers.setdefault(content, {}).update(texts)


@functools.lru_cache(maxsize=10_000)
def metric_digest(metric: Metric) -> str:
    """The digest of a question to a table."""
    return digest_value("metric", [_FORM, metric])


def rows_digest(predicate: Predicate, where: Predicate | None, limit: int, columns: Sequence[str]) -> str:
    """The digest of asking for rows."""
    return digest_value("metric-rows", [_FORM, predicate, where, limit, list(columns)])


@functools.cache
def schema_digest() -> str:
    """The digest of asking for the columns."""
    return digest_value("metric-schema", [_FORM])


def encoded_answer(metric: Metric | None, answer: Any) -> str | None:
    """An answer as JSON text, which here has infinities and integers of any size; None when it is not kept."""
    if isinstance(metric, Frequent) and metric.limit >= COMPLETE and len(answer) >= COMPLETE:
        return _TOO_MANY
    try:
        text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError):
        return None  # a value that JSON has no form for
    return text if len(text) <= _LONGEST else None


def decoded_answer(metric: Metric | None, text: str | None) -> Any:
    """What `encoded_answer` wrote; `UNMERGED` for what was too much to keep."""
    if text is None or (text == _TOO_MANY and isinstance(metric, Frequent)):
        return UNMERGED
    return json.loads(text)


def encoded_schema(schema: Mapping[str, ColumnType]) -> str:
    """Columns as JSON text."""
    return msgspec.json.encode([[name, each.kind, each.dtype] for name, each in schema.items()]).decode()


def decoded_schema(text: str) -> dict[str, ColumnType]:
    """What `encoded_schema` wrote."""
    return {name: ColumnType(kind, dtype) for name, kind, dtype in json.loads(text)}
