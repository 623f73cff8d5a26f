"""Searching logged models: the registry's filter language over their fields, parameters, tags and figures."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any as Anything

import msgspec

from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.kernel.hashing import digest_value
from mainspring.models.logged import describe_logged
from mainspring.models.logged_tables import LOGGED
from mainspring.models.logged_types import DatasetFilter, LoggedOrder, LoggedPage
from mainspring.models.registry_query import All, Any, Comparison, Condition, Not, parse_query
from mainspring.models.registry_search import like
from mainspring.store.transaction import Transaction

__all__ = ["search_logged"]

Sql = tuple[str, list[Anything]]
_TEXTS = {
    "name": "name",
    "model_id": "id",
    "id": "id",
    "type": "type",
    "model_type": "type",
    "status": "status",
    "run_id": "run_id",
    "source_run_id": "run_id",
    "created_by": "created_by",
}
_TIMES = {
    "created": "created_at",
    "created_at": "created_at",
    "creation_time": "created_at",
    "creation_timestamp": "created_at",
    "creation_timestamp_ms": "created_at",
    "updated": "updated_at",
    "updated_at": "updated_at",
    "last_updated_timestamp": "updated_at",
    "last_updated_timestamp_ms": "updated_at",
}
_MILLISECONDS = 10**15
_COMPARE = ("=", "!=", "<", "<=", ">", ">=")
_SPACES = {"param": "param", "params": "param", "tag": "tag", "tags": "tag"}
_MOST = 1000
_ANY: Sql = ("1 = 1", [])


def search_logged(
    tx: Transaction,
    query: str,
    *,
    experiments: Sequence[int],
    datasets: Sequence[DatasetFilter],
    order_by: Sequence[LoggedOrder],
    limit: int,
    page: str,
) -> LoggedPage:
    """The logged models that a filter finds; the newest first, where no order is given.

    Args:
        tx: The caller's transaction.
        query: For example `metrics.auc > 0.8 AND params.depth = '6'`.
        experiments: Numbers of experiments; all when empty.
        datasets: On which of these data the figures of the filter were measured.
        order_by: What comes first; figures that are not there come last.
        limit: At most 1000.
        page: `next_page` of the page before.
    """
    limit = max(1, min(limit, _MOST))
    seal = [query, list(experiments), msgspec.to_builtins([list(datasets), list(order_by)])]
    check = digest_value("page", seal)[:12]
    offset = _offset(page, check)
    clauses = ["logged_model.workspace = ?", "logged_model.deleted_at IS NULL"]
    params: list[Anything] = [tx.workspace]
    if experiments:
        clauses.append(f"logged_model.experiment_id IN ({', '.join('?' * len(experiments))})")
        params += [*experiments]
    condition = parse_query(query)
    measured = _measured_on(datasets)
    if condition is not None:
        sql, more = _where(tx, condition, measured)
        clauses.append(sql)
        params += more
    if datasets and (condition is None or not _names_metrics(condition)):
        clauses.append(
            "EXISTS (SELECT 1 FROM logged_model_metric m WHERE m.model_id = logged_model.id AND " + measured[0] + ")"  # noqa: S608 -- marks only
        )
        params += measured[1]
    joins, order, joined = _order(order_by)
    rows = tx.fetch(
        LOGGED,
        f"{joins} WHERE {' AND '.join(clauses)} ORDER BY {order} LIMIT ? OFFSET ?",
        [*joined, *params, limit + 1, offset],
    )
    following = ""
    if len(rows) > limit:
        following = base64.urlsafe_b64encode(msgspec.json.encode([check, offset + limit])).decode()
    return LoggedPage(describe_logged(tx, rows[:limit]), following)


def _offset(page: str, check: str) -> int:
    if not page:
        return 0
    try:
        held, offset = msgspec.json.decode(base64.b64decode(page, altchars=b"-_", validate=True), type=tuple[str, int])
    except (msgspec.DecodeError, binascii.Error, ValueError):
        held, offset = "", 0
    if held != check or offset < 0:
        raise InvalidInput("this page token is of another search", hint="repeat the search it came from as it was")
    return offset


def _measured_on(datasets: Sequence[DatasetFilter]) -> Sql:
    parts, params = [], []
    for each in datasets:
        parts.append("(m.dataset_name = ?" + (" AND m.dataset_digest = ?)" if each.digest else ")"))
        params += [each.name, *([each.digest] if each.digest else [])]
    return (f"({' OR '.join(parts)})" if parts else ""), params


def _names_metrics(condition: Condition) -> bool:
    if isinstance(condition, Not):
        return _names_metrics(condition.part)
    if isinstance(condition, All | Any):
        return any(_names_metrics(part) for part in condition.parts)
    return condition.field in ("metric", "metrics")


def _order(order_by: Sequence[LoggedOrder]) -> tuple[str, str, list[Anything]]:
    """Joins, the order, and the parameters of the joins."""
    joins: list[str] = []
    order: list[str] = []
    params: list[Anything] = []
    seen: set[str] = set()
    for number, each in enumerate(order_by):
        down = "" if each.ascending else " DESC"
        entity, dot, key = each.field.partition(".")
        if not dot:
            column = _TEXTS.get(each.field) or _TIMES.get(each.field)
            if column is None:
                known = nearest(each.field, [*_TEXTS, *_TIMES])
                raise InvalidInput(f"logged models cannot be ordered by {each.field!r}", known=known)
            seen.add(column)
            order.append(f"logged_model.{column}{down}")
            continue
        if entity not in ("metric", "metrics"):
            raise InvalidInput(f"logged models cannot be ordered by {each.field!r}", hint="a field, or metrics.KEY")
        where = "m.key = ?"
        params.append(key.strip("`\"'"))
        for column, value in (("dataset_name", each.dataset_name), ("dataset_digest", each.dataset_digest)):
            if value:
                where += f" AND m.{column} = ?"
                params.append(value)
        joins.append(
            f"LEFT JOIN (SELECT m.model_id, m.value, ROW_NUMBER() OVER (PARTITION BY m.model_id"  # noqa: S608 -- columns only
            f" ORDER BY m.at DESC, m.step DESC, m.run_id) AS place FROM logged_model_metric m WHERE {where}) o{number}"
            f" ON o{number}.model_id = logged_model.id AND o{number}.place = 1"
        )
        order += [f"CASE WHEN o{number}.value IS NULL THEN 1 ELSE 0 END", f"o{number}.value{down}"]
    if "created_at" not in seen:
        order.append("logged_model.created_at DESC")
    if "id" not in seen:
        order.append("logged_model.id")
    return " ".join(joins), ", ".join(order), params


def _where(tx: Transaction, condition: Condition, measured: Sql) -> Sql:
    if isinstance(condition, Not):
        sql, params = _where(tx, condition.part, measured)
        return f"NOT coalesce({sql}, 0 = 1)", params
    if isinstance(condition, All | Any):
        parts = [_where(tx, part, measured) for part in condition.parts]
        word = " AND " if isinstance(condition, All) else " OR "
        return f"({word.join(sql for sql, _ in parts)})", [each for _, params in parts for each in params]
    return _compare(tx, condition, measured)


def _compare(tx: Transaction, each: Comparison, measured: Sql) -> Sql:
    field, key = each.field, each.key
    if key and field in ("attribute", "attributes", "attr"):
        field, key = key.lower(), ""
    if key and field in _SPACES:
        return _value(tx, _SPACES[field], key, each)
    if key and field in ("metric", "metrics"):
        sql, params = _number("m.value", each, plain=True)
        on, more = measured
        inside = f"m.key = ? AND {sql}" + (f" AND {on}" if on else "")
        return (
            f"EXISTS (SELECT 1 FROM logged_model_metric m WHERE m.model_id = logged_model.id AND {inside})",  # noqa: S608 -- ours
            [key, *params, *more],
        )
    if not key and field in _TIMES:
        return _number(f"logged_model.{_TIMES[field]}", each, plain=False)
    if not key and field in _TEXTS:
        values = [str(value) for value in each.values]
        if field in ("run_id", "source_run_id"):
            values = [_dashed(value) for value in values]
        if field == "status":
            values = [value.lower() for value in values]
        return _text(tx, f"logged_model.{_TEXTS[field]}", each.op, values)
    shown = f"{field}.{key}" if key else field
    raise InvalidInput(
        f"{shown!r} is not a field of logged models",
        known=nearest(field, [*_TEXTS, *_TIMES, "params", "tags", "metrics"]),
    )


def _value(tx: Transaction, space: str, key: str, each: Comparison) -> Sql:
    if each.op in ("IS NULL", "IS NOT NULL"):
        sql, params = _ANY
    else:
        sql, params = _text(tx, "v.value", each.op, [str(value) for value in each.values])
    negated = "NOT " if each.op == "IS NULL" else ""
    return (
        (f"{negated}EXISTS (SELECT 1 FROM logged_model_value v WHERE v.model_id = logged_model.id"  # noqa: S608 -- ours
        f" AND v.space = ? AND v.key = ? AND {sql})"),
        [space, key, *params],
    )


def _text(tx: Transaction, column: str, op: str, values: list[str]) -> Sql:
    if op in ("IN", "NOT IN"):
        return f"{column} {op} ({', '.join('?' * len(values))})", [*values]
    if op.endswith("LIKE"):
        sql, params = like(tx, column, values[0], folded=op.endswith("ILIKE"))
        return (f"NOT {sql}" if op.startswith("NOT") else sql), params
    if op not in _COMPARE:
        raise InvalidInput(f"{op} cannot be used with a text", hint="=, !=, LIKE, ILIKE or IN")
    return f"{column} {op} ?", [values[0]]


def _number(column: str, each: Comparison, *, plain: bool) -> Sql:
    if each.op not in _COMPARE or isinstance(each.values[0], str):
        raise InvalidInput("a number is compared by =, !=, <, <=, > or >= with a number")
    value = float(each.values[0])
    if not plain:
        value = value * 1000 if value < _MILLISECONDS else value
        return f"{column} {each.op} ?", [int(value)]
    return f"{column} {each.op} ?", [value]


def _dashed(run_id: str) -> str:
    if len(run_id) == 32 and "-" not in run_id:
        return f"{run_id[:8]}-{run_id[8:12]}-{run_id[12:16]}-{run_id[16:20]}-{run_id[20:]}"
    return run_id
