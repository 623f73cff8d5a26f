"""Which other tables the lines of a suite speak of, so that whoever validates it can bring them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from mainspring.quality.expectations.kinds import kind_of
from mainspring.quality.types import Expectation

__all__ = ["other_tables"]

_NAMES = ("table", "other_table_name", "comparison_data_source_name")
_QUERIES = ("query", "unexpected_rows_query", "base_query", "comparison_query")


def other_tables(expectations: Iterable[Expectation]) -> list[str]:
    """The names of the other tables, in the order in which they are first spoken of.

    Example:
        >>> about = Expectation(kind="table_row_count_to_be_near_other", arguments={"max_ratio": 2})
        >>> query = Expectation(kind="query_value_to_be_between", arguments={"query": "SELECT max(a) FROM o"})
        >>> other_tables([about, query])
        ['previous', 'o']
    """
    return list(dict.fromkeys(name for each in expectations for name in _named(each)))


def _named(expectation: Expectation) -> Iterator[str]:
    fields = {field.name: field for field in msgspec.structs.fields(kind_of(expectation.kind))}
    for name in _NAMES:
        if name in fields:
            value = expectation.arguments.get(name, fields[name].default)
            if isinstance(value, str) and value:
                yield value
    for name in _QUERIES:
        text = expectation.arguments.get(name)
        if isinstance(text, str):
            yield from _read(text)
    inner = expectation.arguments.get("expectations", ())
    single = expectation.arguments.get("expectation")
    for each in (*inner, *([single] if single is not None else [])):
        yield from _named(msgspec.convert(each, Expectation))


def _read(query: str) -> Iterator[str]:
    """The tables that a query reads besides `{batch}`; a query that cannot be read is refused when it is asked."""
    import sqlglot
    from sqlglot import exp

    from mainspring.engines.tables_conditions import BATCH

    try:
        tree = sqlglot.parse_one(query.replace("{batch}", BATCH))
    except (sqlglot.errors.SqlglotError, RecursionError):
        return
    own = {BATCH, *(each.alias_or_name for each in tree.find_all(exp.CTE))}
    yield from (each.name for each in tree.find_all(exp.Table) if each.name and each.name not in own)
