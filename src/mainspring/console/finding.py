"""From what the console's addresses say to the words of the search: columns, order, one condition, one cell."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from mainspring.console.page import Ask
    from mainspring.tracking.types import TrackedRun

__all__ = ["Cell", "cell_of", "clause", "key_of", "order_by", "quoted", "view_of"]

Cell = float | int | str | bool | list[Any] | dict[str, Any] | datetime | None
"""What stands in one cell of a table of runs."""

_PLAIN = re.compile(r"[\w/.:\-]*[\w/:]")


def key_of(column: str) -> tuple[str, str]:
    """A column's id without the aggregate at its end, and the aggregate: `min`, `max` or nothing.

    Example:
        >>> key_of("metrics.val/loss#min"), key_of("params.a#b")
        (('metrics.val/loss', 'min'), ('params.a#b', ''))
    """
    plain, mark, aggregate = column.rpartition("#")
    return (plain, aggregate) if mark and aggregate in ("min", "max") else (column, "")


def quoted(column: str) -> str:
    """A column as the search writes it.

    Example:
        >>> quoted("metrics.loss"), quoted("params.model depth"), quoted("started_at"), quoted("metrics.loss#min")
        ('metrics.loss', 'params.`model depth`', 'started_at', 'min(metrics.loss)')
    """
    plain, aggregate = key_of(column)
    space, dot, key = plain.partition(".")
    if dot and space in ("metrics", "params", "tags"):
        quotes = key.replace("`", "``")
        plain = f"{space}.{key}" if _PLAIN.fullmatch(key) else f"{space}.`{quotes}`"
    return f"{aggregate}({plain})" if aggregate else plain


def order_by(sort: list[str]) -> list[str]:
    """The order of an address, `-metrics.loss`, as the search takes it.

    Example:
        >>> order_by(["-metrics.val loss", "started_at"])
        ['metrics.`val loss` DESC', 'started_at ASC']
    """
    return [f"{quoted(each.removeprefix('-'))} {'DESC' if each.startswith('-') else 'ASC'}" for each in sort]


def clause(column: str, value: object) -> str:
    """The condition that a column has a value; None for having none.

    Example:
        >>> clause("params.family", "it's"), clause("tags.a b", None), clause("status", "failed")
        ("params.family = 'it''s'", 'tags.`a b` IS NULL', "status = 'failed'")
    """
    if value is None:
        return f"{quoted(column)} IS NULL"
    text = str(value).replace("'", "''")
    return f"{quoted(column)} = '{text}'"


def cell_of(run: TrackedRun, column: str) -> Cell:
    """What stands in one cell; a metric that is not finite is a text: `nan`, `inf` or `-inf`."""
    plain, aggregate = key_of(column)
    space, _, key = plain.partition(".")
    if space == "metrics" and key:
        metric = run.metrics.get(key)
        if metric is None:
            return None
        if aggregate:
            return metric.minimum if aggregate == "min" else metric.maximum
        return metric.special or metric.last
    if space == "params" and key:
        return run.params.get(key)
    if space == "tags":
        return run.tags.get(key) if key else run.tags
    values: dict[str, Cell] = {
        "status": run.status,
        "started_at": run.run.started_at,
        "finished_at": run.run.finished_at,
        "duration": ((run.run.finished_at - run.run.started_at).total_seconds() if run.run.finished_at else None),
        "experiment": run.experiment,
        "user": run.user or run.run.created_by,
        "group": run.group,
        "note": run.note.partition("\n")[0],
        "run_id": run.id,
        "parent": run.run.parent_id,
    }
    return values.get(plain)


def view_of(ask: Ask) -> Literal["active", "deleted", "all"]:
    """Which of the deleted and the others an address shows."""
    try:
        found: Literal["active", "deleted", "all"] = msgspec.convert(
            ask.get("view", "active"), Literal["active", "deleted", "all"]
        )
    except msgspec.ValidationError:
        raise InvalidInput(f"view={ask.get('view')!r} is none", known=("active", "deleted", "all")) from None
    return found
