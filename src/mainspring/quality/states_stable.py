"""What depends on what: whether a predicate is about one row alone, and whether an answer is about the content alone.

An answer may be remembered for a content only when the same content always gives the same answer: not with another
table in it, nor the clock, nor chance. It may be joined over parts only when each row is asked by itself.
"""

from __future__ import annotations

import re

from mainspring.engines.tables import (
    All,
    AnyOf,
    Count,
    Duplicated,
    InTable,
    Metric,
    Not,
    Ordered,
    Predicate,
    Query,
    Sql,
)

__all__ = ["is_of_a_row", "is_of_content"]

_CALLS = re.compile(r"([A-Za-z_][A-Za-z_0-9]*)\s*\(")
_WORDS = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_PLAIN = frozenset({
    "abs", "and", "as", "between", "case", "cast", "ceil", "ceiling", "char_length", "character_length", "coalesce",
    "concat", "date", "date_part", "day", "degrees", "else", "end", "ends_with", "exp", "extract", "floor",
    "greatest", "ifnull", "in", "is", "least", "left", "length", "like", "ilike", "ln", "log", "log10", "log2",
    "lower", "lpad", "ltrim", "minute", "mod", "month", "not", "nullif", "octet_length", "or", "pow", "power",
    "radians", "regexp_like", "replace", "reverse", "right", "round", "rpad", "rtrim", "second", "sign",
    "split_part", "sqrt", "starts_with", "strpos", "strptime", "substr", "substring", "then", "time", "timestamp",
    "trim", "try_cast", "upper", "when", "where", "year", "decimal", "numeric", "varchar",
})  # fmt: skip
"""Words that may stand before a parenthesis and look at nothing but the row."""
_STRANGE = frozenset({
    "over", "select", "current_date", "current_time", "current_timestamp", "now", "localtime", "localtimestamp",
    "today", "random", "uuid",
})  # fmt: skip


def is_of_a_row(predicate: Predicate | None) -> bool:
    """Whether a predicate looks at nothing but the row itself.

    Example:
        >>> is_of_a_row(Sql("x > 0 AND lower(s) = 'a'")), is_of_a_row(Sql("x > avg(x)"))
        (True, False)
    """
    match predicate:
        case Duplicated() | Ordered() | InTable():
            return False
        case Sql():
            return _plain_sql(predicate.text)
        case Not():
            return is_of_a_row(predicate.inner)
        case All() | AnyOf():
            return all(map(is_of_a_row, predicate.parts))
    return True


def is_of_content(metric: Metric) -> bool:
    """Whether the same content always gives the same answer."""
    if isinstance(metric, Query):
        return False  # it may speak of anything
    return _same_again(metric.where) and not (isinstance(metric, Count) and not _same_again(metric.predicate))


def _same_again(predicate: Predicate | None) -> bool:
    match predicate:
        case InTable():
            return False
        case Sql():
            return _plain_sql(predicate.text) or not _volatile(predicate.text)
        case Not():
            return _same_again(predicate.inner)
        case All() | AnyOf():
            return all(map(_same_again, predicate.parts))
    return True


def _plain_sql(text: str) -> bool:
    bare = _QUOTED.sub("''", text)
    words = {word.lower() for word in _WORDS.findall(bare)}
    calls = {word.lower() for word in _CALLS.findall(bare)}
    return not (words & _STRANGE) and calls <= _PLAIN


def _volatile(text: str) -> bool:
    """Whether it is not known to be free of the clock, of chance, and of other tables."""
    bare = _QUOTED.sub("''", text)
    words = {word.lower() for word in _WORDS.findall(bare)}
    calls = {word.lower() for word in _CALLS.findall(bare)}
    return bool(words & (_STRANGE - {"over"})) or not calls <= (_PLAIN | _OVER_ROWS)


_OVER_ROWS = frozenset({
    "avg", "sum", "min", "max", "count", "stddev", "variance", "median", "lag", "lead", "first", "last", "over",
    "row_number", "rank",
})  # fmt: skip
