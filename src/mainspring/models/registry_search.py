"""Searching the registry: filters as SQL, any order, and pages that stay right while others write.

A page ends with a token that says where the next one begins: the values by which the last row was ordered. So a page
costs the same wherever it is, and nothing is shown twice when rows come and go before it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any as Anything
from typing import Literal

import msgspec

from mainspring.kernel.clock import to_micros
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.kernel.hashing import digest_value
from mainspring.models.approvals import SAGEMAKER, status_named
from mainspring.models.labels import HEAD
from mainspring.models.registry import describe_notes
from mainspring.models.registry_query import All, Any, Comparison, Condition, Not, Value, parse_query
from mainspring.models.tables import MODELS, NOTES
from mainspring.models.types import ModelPage, ModelVersion, VersionPage
from mainspring.store.transaction import Transaction

__all__ = ["View", "like", "newest_of", "search_models", "search_versions"]

View = Literal["active", "deleted", "all"]
"""Which rows are seen."""

Sql = tuple[str, list[Anything]]
_MOST = 1000
_RARE = 1000
_MILLISECONDS = 10**15
"""Below this, a number is a time in milliseconds, as MLflow gives it; from it on, in microseconds."""

_TEXTS = {
    "name": "name",
    "description": "description",
    "created_by": "created_by",
    "user": "created_by",
    "user_id": "created_by",
}
_VERSION_TEXTS = _TEXTS | {
    "run_id": "run_id",
    "run": "run_id",
    "source": "source",
    "source_path": "source",
    "format": "format",
    "digest": "digest",
}
_WORDS = {"stage": "stage", "current_stage": "stage", "status": "status", "approval": "approval"}
_TIMES = {
    "created": "created_at",
    "created_at": "created_at",
    "creation_timestamp": "created_at",
    "updated": "updated_at",
    "updated_at": "updated_at",
    "last_updated_timestamp": "updated_at",
}
_NUMBERS = {"version": "version", "version_number": "version"}
_ORDERS = {"name": "name", **_TIMES}
_SIGNS = {False: ">", True: "<"}
_COMPARE = ("=", "!=", "<", "<=", ">", ">=")


def search_models(
    tx: Transaction, query: str, *, order_by: Sequence[str], limit: int, page: str, view: View
) -> ModelPage:
    """The models that a filter finds, with the newest version of each; by name where no order is given."""
    columns = _order(order_by, _ORDERS, ("name",))
    rows, following = _page(
        tx,
        "model",
        lambda where, params: tx.fetch(MODELS, where, params),
        parse_query(query),
        columns,
        limit=limit,
        page=page,
        view=view,
        seal=[query, list(order_by), view],
    )
    return ModelPage(rows, newest_of(tx, [row.name for row in rows]), following)


def search_versions(
    tx: Transaction, query: str, *, order_by: Sequence[str], limit: int, page: str, view: View
) -> VersionPage:
    """The versions that a filter finds; by name, and the newest first, where no order is given."""
    columns = _order(order_by or ["name", "version DESC"], _ORDERS | _NUMBERS, ("name", "version"))
    rows, following = _page(
        tx,
        "model_version",
        lambda where, params: tx.fetch(NOTES, where, params),
        parse_query(query),
        columns,
        limit=limit,
        page=page,
        view=view,
        seal=[query, list(order_by), view],
    )
    return VersionPage(describe_notes(tx, rows), following)


def newest_of(tx: Transaction, names: Sequence[str]) -> dict[str, ModelVersion]:
    """The newest version of each of these models that has one."""
    if not names:
        return {}
    marks = ", ".join("?" * len(names))
    where = (
        f"WHERE workspace = ? AND name IN ({marks}) AND version = (SELECT max(other.version) FROM model_version other"  # noqa: S608 -- marks only
        " WHERE other.workspace = model_version.workspace AND other.name = model_version.name"
        " AND other.deleted_at IS NULL)"
    )
    found = tx.fetch(NOTES, where, [caller().workspace, *names])
    return {version.name: version for version in describe_notes(tx, found)}


def _page(
    tx: Transaction,
    table: str,
    fetch: Callable[[str, list[Anything]], list[Anything]],
    condition: Condition | None,
    columns: list[tuple[str, bool]],
    *,
    limit: int,
    page: str,
    view: View,
    seal: list[Anything],
) -> tuple[list[Anything], str]:
    limit = max(1, min(limit, _MOST))
    check = digest_value("page", seal)[:12]
    clauses, params = [f"{table}.workspace = ?"], [caller().workspace]
    if view != "all":
        clauses.append(f"{table}.deleted_at IS {'NOT ' if view == 'deleted' else ''}NULL")
    for sql, more in (_where(tx, table, condition), _after(table, columns, _begin(page, check, len(columns)))):
        if sql:
            clauses.append(sql)
            params += more
    order = ", ".join(f"{table}.{column}{' DESC' if down else ''}" for column, down in columns)
    rows = fetch(f"WHERE {' AND '.join(clauses)} ORDER BY {order} LIMIT ?", [*params, limit + 1])
    if len(rows) <= limit:
        return rows, ""
    last = [getattr(rows[limit - 1], column) for column, _ in columns]
    values = [to_micros(value) if isinstance(value, datetime) else value for value in last]
    return rows[:limit], base64.urlsafe_b64encode(msgspec.json.encode([check, *values])).decode()


def _begin(page: str, check: str, count: int) -> list[Anything]:
    """Where a page begins, from its token."""
    if not page:
        return []
    try:
        found = msgspec.json.decode(base64.b64decode(page, altchars=b"-_", validate=True), type=list[str | int])
    except (msgspec.DecodeError, binascii.Error, ValueError):
        found = []
    if len(found) != count + 1 or found[0] != check:
        raise InvalidInput("this page token is of another search", hint="repeat the search it came from as it was")
    return found[1:]


def _after(table: str, columns: list[tuple[str, bool]], values: list[Anything]) -> Sql:
    """The rows behind these values in this order: (a > x) or (a = x and b > y) or ..."""
    parts: list[str] = []
    params: list[Anything] = []
    for index in range(len(columns) if values else 0):
        column, down = columns[index]
        equal = [f"{table}.{each} = ?" for each, _ in columns[:index]]
        parts.append(f"({' AND '.join([*equal, f'{table}.{column} {_SIGNS[down]} ?'])})")
        params += values[: index + 1]
    return (f"({' OR '.join(parts)})" if parts else ""), params


def _order(order_by: Sequence[str], known: dict[str, str], tail: tuple[str, ...]) -> list[tuple[str, bool]]:
    """Columns and whether each goes down; the tail makes the order total."""
    found: dict[str, bool] = {}
    for each in order_by:
        words = each.replace("`", "").split()
        if not words or len(words) > 2 or (len(words) == 2 and words[1].upper() not in ("ASC", "DESC")):
            raise InvalidInput(f"{each!r} is not an order", hint="a field, and ASC or DESC behind it")
        field = words[0].lower()
        if field not in known:
            raise InvalidInput(f"the registry cannot be ordered by {words[0]!r}", known=nearest(field, known))
        if known[field] in found:
            raise InvalidInput(f"{field!r} stands twice in the order")
        found[known[field]] = len(words) == 2 and words[1].upper() == "DESC"
    for column in tail:
        found.setdefault(column, column == "version")
    return list(found.items())


def _where(tx: Transaction, table: str, condition: Condition | None) -> Sql:
    if condition is None:
        return "", []
    if isinstance(condition, Not):
        sql, params = _where(tx, table, condition.part)
        return f"NOT coalesce({sql}, 0 = 1)", params
    if isinstance(condition, All | Any):
        parts = [_where(tx, table, part) for part in condition.parts]
        word = " AND " if isinstance(condition, All) else " OR "
        return f"({word.join(sql for sql, _ in parts)})", [each for _, params in parts for each in params]
    return _compare(tx, table, condition)


def _compare(tx: Transaction, table: str, each: Comparison) -> Sql:
    """One comparison as SQL."""
    versions = table == "model_version"
    if each.key and each.field in ("attribute", "attributes", "attr"):
        each = msgspec.structs.replace(each, field=each.key.lower(), key="")
    found = _keyed(tx, table, each) if each.key else _column(tx, table, each)
    if found is not None:
        return found
    texts = _VERSION_TEXTS if versions else _TEXTS
    known = [*texts, *_TIMES, "alias", "tags", *([*_WORDS, *_NUMBERS, "metrics", "approved"] if versions else [])]
    field = f"{each.field}.{each.key}" if each.key else each.field
    raise InvalidInput(
        f"{field!r} is not a field of {'versions' if versions else 'models'}",
        known=nearest(each.field, known),
        hint=f"there are {', '.join(sorted(known))}",
    )


def _keyed(tx: Transaction, table: str, each: Comparison) -> Sql | None:
    """A comparison of a field with a key behind a dot; None where there is no such field."""
    if each.field in ("tag", "tags"):
        return _label(tx, table, "tag", each)
    if each.field in ("metric", "metrics") and table == "model_version":
        return _metric(tx, table, each)
    return None


def _column(tx: Transaction, table: str, each: Comparison) -> Sql | None:
    """A comparison of a column; None where there is no such field."""
    versions, field = table == "model_version", each.field
    texts = _VERSION_TEXTS if versions else _TEXTS
    if field in ("alias", "aliases"):
        return _alias(tx, table, each)
    if field in texts:
        return _text(tx, f"{table}.{texts[field]}", each)
    if field in _TIMES:
        return _number(f"{table}.{_TIMES[field]}", each, _micros)
    if versions and field in _WORDS:
        return _word(tx, field, each)
    if versions and field in _NUMBERS:
        return _number(f"{table}.{_NUMBERS[field]}", each, _plain)
    if versions and field == "approved" and each.op in ("TRUE", "=", "!="):
        wanted = each.op == "TRUE" or (bool(each.values[0]) == (each.op == "="))
        return f"model_version.approved_until {'>' if wanted else '<='} ?", [tx.now_micros]
    return None


def _text(tx: Transaction, column: str, each: Comparison) -> Sql:
    op, values = each.op, [_as_text(each, value) for value in each.values]
    if op in ("=", "!="):
        return f"{column} {op} ?", list(values)
    if op in ("IN", "NOT IN"):
        return f"{column} {op} ({', '.join('?' * len(values))})", list(values)
    if op in ("IS NULL", "IS NOT NULL"):
        return f"{column} {'=' if op == 'IS NULL' else '<>'} ''", []
    if op.endswith("LIKE"):
        sql, params = like(tx, column, values[0], folded=op.endswith("ILIKE"))
        return (f"NOT {sql}" if op.startswith("NOT") else sql), params
    raise InvalidInput(f"{each.field!r} is a text, and {op} does not compare texts", hint="=, !=, LIKE, ILIKE, IN")


def like(tx: Transaction, column: str, pattern: str, *, folded: bool) -> Sql:
    """LIKE that minds the case on both databases; SQLite's own does not, so GLOB takes its place there."""
    plain = "" if tx.dialect == "sqlite" else " ESCAPE ''"  # a backslash is a backslash
    if folded:
        return f"lower({column}) LIKE lower(?){plain}", [pattern]
    if tx.dialect != "sqlite":
        return f"{column} LIKE ?{plain}", [pattern]
    glob = "".join({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}.get(char, char) for char in pattern)
    return f"{column} GLOB ?", [glob]


def _word(tx: Transaction, field: str, each: Comparison) -> Sql:
    """A field with few values, in whatever case; SageMaker's names of approvals are ours."""
    values: tuple[Value, ...] = tuple(str(value).lower() for value in each.values)
    if field == "approval":
        sage = {name.lower() for name in SAGEMAKER}
        values = tuple(status_named(str(value)) if value in sage else value for value in values)
    return _text(tx, f"lower(model_version.{_WORDS[field]})", msgspec.structs.replace(each, values=values))


def _number(column: str, each: Comparison, convert: Callable[[Comparison, Value], float | int]) -> Sql:
    if each.op in _COMPARE:
        return f"{column} {each.op} ?", [convert(each, each.values[0])]
    if each.op in ("IN", "NOT IN"):
        values = [convert(each, value) for value in each.values]
        return f"{column} {each.op} ({', '.join('?' * len(values))})", list(values)
    raise InvalidInput(f"{each.field!r} is a number, and {each.op} does not compare numbers")


def _label(tx: Transaction, table: str, space: str, each: Comparison) -> Sql:
    version = "model_version.version" if table == "model_version" else "0"
    inner = (
        f"SELECT 1 FROM model_label label WHERE label.workspace = {table}.workspace AND label.name = {table}.name"  # noqa: S608 -- ours
        f" AND label.version = {version} AND label.space = '{space}' AND label.key = ?"
    )
    if each.op in ("IS NULL", "IS NOT NULL"):
        return f"{'NOT ' if each.op == 'IS NULL' else ''}EXISTS ({inner})", [each.key]
    if each.op == "=":
        value = _as_text(each, each.values[0])
        rare = _rare(
            tx,
            table,
            "model_label WHERE workspace = ? AND space = ? AND key = ? AND head = ? AND value = ?"
            f" AND version {'>' if version != '0' else '='} 0",
            [caller().workspace, space, each.key, value[:HEAD], value],
        )
        if rare is not None:
            return rare
    sql, params = _text(tx, "label.value", each)
    return f"EXISTS ({inner} AND {sql})", [each.key, *params]


def _rare(tx: Transaction, table: str, source: str, params: list[Anything]) -> Sql | None:
    """A condition that begins at the few rows of a source; None where there are many, which are met on the way anyway.

    Without statistics, a database cannot know which of the two it should do; so a look at the index decides.
    """
    if len(tx.rows(f"SELECT 1 FROM {source} LIMIT ?", [*params, _RARE + 1])) > _RARE:  # noqa: S608 -- ours
        return None
    if table == "model":
        return f"model.name IN (SELECT name FROM {source})", params  # noqa: S608 -- ours
    return f"(model_version.name, model_version.version) IN (SELECT name, version FROM {source})", params  # noqa: S608


def _alias(tx: Transaction, table: str, each: Comparison) -> Sql:
    version = " AND label.version = model_version.version" if table == "model_version" else ""
    inner = (
        f"SELECT 1 FROM model_label label WHERE label.workspace = {table}.workspace AND label.name = {table}.name"  # noqa: S608 -- ours
        f"{version} AND label.space = 'alias'"
    )
    if each.op in ("IS NULL", "IS NOT NULL"):
        return f"{'NOT ' if each.op == 'IS NULL' else ''}EXISTS ({inner})", []
    if each.op == "=":
        value = _as_text(each, each.values[0])
        source = "model_label WHERE workspace = ? AND space = 'alias' AND key = ?"
        rare = _rare(tx, table, source, [caller().workspace, value])
        if rare is not None:
            return rare
    negated = each.op in ("!=", "NOT IN", "NOT LIKE", "NOT ILIKE")
    positive = {"!=": "="}.get(each.op, each.op.removeprefix("NOT "))
    sql, params = _text(tx, "label.key", msgspec.structs.replace(each, op=positive))
    return f"{'NOT ' if negated else ''}EXISTS ({inner} AND {sql})", params


def _metric(tx: Transaction, table: str, each: Comparison) -> Sql:
    inner = (
        "SELECT 1 FROM model_metric figure WHERE figure.workspace = model_version.workspace"
        " AND figure.name = model_version.name AND figure.version = model_version.version AND figure.key = ?"
    )
    if each.op in ("IS NULL", "IS NOT NULL"):
        return f"{'NOT ' if each.op == 'IS NULL' else ''}EXISTS ({inner})", [each.key]
    sql, params = _number("value", each, _plain)
    source = f"model_metric WHERE workspace = ? AND key = ? AND {sql}"
    rare = _rare(tx, table, source, [caller().workspace, each.key, *params])
    if rare is not None:
        return rare
    sql, params = _number("+figure.value", each, _plain)  # the sign keeps SQLite from starting at the index of values
    return f"EXISTS ({inner} AND {sql})", [each.key, *params]


def _as_text(each: Comparison, value: Value) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{each.field!r} is a text; put {value!r} in quotes", hint=f"{each.field} = '{value}'")
    return value


def _plain(each: Comparison, value: Value) -> float | int:
    if isinstance(value, str):
        try:
            return float(value) if each.field.startswith("metric") else int(value)
        except ValueError:
            raise InvalidInput(f"{each.field!r} is a number, and {value!r} is none") from None
    return value


def _micros(each: Comparison, value: Value) -> int:
    """A moment: an ISO date or time (UTC where it does not say), or a number of milliseconds as MLflow gives it."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidInput(
                f"{value!r} is not a time for {each.field!r}", hint="2026-11-21, 2026-11-21T14:00, or milliseconds"
            ) from None
        return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return int(value) * 1000 if abs(value) < _MILLISECONDS else int(value)
