"""SQL of users: one language on every engine, read and refused here before any engine sees it.

A condition is a pure boolean expression over the columns of the table. What it may be made of is a closed
set (below), so that it means the same everywhere and cannot read a file, call a server or change a setting.
A query is a SELECT over the table, named `{batch}`, and the other tables that `open_table` was told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mainspring.engines.tables_types import ColumnType
from mainspring.engines.tables_values import literal
from mainspring.kernel.errors import InvalidInput, MissingDependency, NotFound, nearest

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["BATCH", "check_select", "literal_of", "parse_condition", "parse_query"]

BATCH = "mainspring_batch"
"""What `{batch}` is called while a query is parsed."""

_OPERATIONS = (
    "And", "Or", "Not", "Paren", "EQ", "NEQ", "LT", "LTE", "GT", "GTE", "Between", "In", "Is", "Like", "Escape",
    "NullSafeEQ", "NullSafeNEQ", "Add", "Sub", "Mul", "Div", "Mod", "Neg", "Case", "If", "Cast", "DPipe", "Column",
    "Identifier", "Literal", "Boolean", "Null", "DataType", "DataTypeParam",
)  # fmt: skip
_FUNCTIONS = (
    "Abs", "Ceil", "Floor", "Round", "Sqrt", "Lower", "Upper", "Length", "Trim", "Substring", "Replace", "Coalesce",
    "Nullif", "Concat", "StartsWith", "EndsWith", "Greatest", "Least", "Extract", "Var", "Year", "Month", "Day",
    "RegexpLike",
)  # fmt: skip
_TYPES = ("INT", "BIGINT", "SMALLINT", "DOUBLE", "FLOAT", "TEXT", "VARCHAR", "BOOLEAN", "DATE", "TIMESTAMP", "DECIMAL")
_UNITS = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "QUARTER")
_READS = {"Table", "Select", "Union", "Intersect", "Except", "Subquery", "With", "CTE", "From", "Join"}


def parse_condition(text: str, schema: Mapping[str, ColumnType]) -> exp.Expression:
    """The tree of a condition; its columns are spelt as the table spells them.

    Raises:
        InvalidInput: When it is not SQL, or not a pure expression of the closed set.
        NotFound: When it names a column that the table has not.
    """
    from sqlglot import exp

    tree = _parse(text, lambda sqlglot: sqlglot.parse(text))
    allowed = tuple(getattr(exp, name) for name in (*_OPERATIONS, *_FUNCTIONS) if hasattr(exp, name))
    for node in tree.walk():
        if type(node) not in allowed:
            raise InvalidInput(
                f"{text!r} is not a condition: {type(node).__name__.upper()} is not part of the language of conditions",
                hint=f"comparisons, AND, OR, NOT, IN, BETWEEN, LIKE, IS NULL, CASE, CAST, arithmetic and "
                f"{', '.join(name.upper() for name in _FUNCTIONS if name != 'Var')}",
            )
        if isinstance(node, exp.Column):
            _resolve(node, schema)
        elif isinstance(node, exp.DataType) and node.this.name not in _TYPES:
            raise InvalidInput(f"{text!r} casts to {node.sql()}, which is none of {', '.join(_TYPES)}")
        elif isinstance(node, exp.Extract) and node.name.upper() not in _UNITS:
            raise InvalidInput(f"{text!r} extracts {node.name}, which is none of {', '.join(_UNITS)}")
        elif isinstance(node, exp.In) and (node.args.get("query") or node.args.get("unnest")):
            raise InvalidInput(f"{text!r} is not a condition: a set is written out as values")
    if not _is_boolean(tree, schema):
        raise InvalidInput(f"{text!r} is not a condition: it says a value, not whether something holds")
    _type_literals(tree, schema)
    return tree  # type: ignore[no-any-return]  # sqlglot's parser is typed loosely


def literal_of(node: exp.Literal, schema: Mapping[str, ColumnType]) -> tuple[Any, ColumnType] | None:
    """A text that is compared with a column of moments, as a moment; None for any other literal."""
    column = node.meta.get("column")
    return None if column is None else (literal(node.this, column, schema[column]), schema[column])


def _type_literals(tree: Any, schema: Mapping[str, ColumnType]) -> None:
    """Mark each text that is compared with a column of moments: engines differ in whether they read it as one."""
    from sqlglot import exp

    for node in tree.find_all(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.In, exp.Between):
        sides = [node.this, node.args.get("expression"), node.args.get("low"), node.args.get("high"), *node.expressions]
        names = [side.name for side in sides if isinstance(side, exp.Column)]
        moments = [name for name in names if schema[name].kind in {"date", "datetime", "time"}]
        for side in sides:
            if moments and isinstance(side, exp.Literal) and side.is_string:
                side.meta["column"] = moments[0]
                literal_of(side, schema)


def parse_query(text: str, tables: Iterable[str]) -> exp.Query:
    """The tree of a SELECT over `{batch}` and `tables`, in which the table is called `BATCH`.

    Raises:
        InvalidInput: When it is anything but one SELECT, or reads what is not a table of these.
    """
    from sqlglot import exp

    tree = _parse(text, lambda sqlglot: sqlglot.parse(text.replace("{batch}", BATCH)))
    if not isinstance(tree, exp.Query):
        raise InvalidInput(f"{text!r} is not a query", hint="write one SELECT over {batch}")
    names = {BATCH, *tables, *(each.alias_or_name for each in tree.find_all(exp.CTE))}
    for node in tree.walk():
        if isinstance(node, exp.DDL | exp.DML | exp.Command | exp.Into | exp.Lock | exp.Set):
            raise InvalidInput(f"{text!r} is not a query: it does more than read")
        if isinstance(node, exp.Table):
            if not isinstance(node.this, exp.Identifier) or node.args.get("db"):
                raise InvalidInput(f"{text!r} reads {node.sql()!r}, which is not a table that was given")
            if node.name not in names:
                others = sorted(names - {BATCH})
                raise NotFound(f"{text!r} reads {node.name!r}, which is not a table that was given", known=others)
        elif isinstance(node, exp.Anonymous) or (isinstance(node, exp.Func) and _is_unsafe(node)):
            raise InvalidInput(f"{text!r} calls {node.sql()!r}, which is not a function that a query may call")
    return tree


def check_select(text: str, dialect: str) -> str:
    """The text of a query of an engine's own SQL, when it is one SELECT; `InvalidInput` otherwise."""
    from sqlglot import exp

    tree = _parse(text, lambda sqlglot: sqlglot.parse(text, read=dialect))
    writes = (exp.DDL, exp.DML, exp.Command, exp.Into, exp.Lock)
    if not isinstance(tree, exp.Query) or any(isinstance(node, writes) for node in tree.walk() if node is not tree):
        raise InvalidInput(f"{text!r} is not a query", hint="write one SELECT")
    return str(tree.sql(dialect=dialect))


def _parse(text: str, parse: Callable[[Any], Any]) -> Any:
    try:
        import sqlglot
    except ImportError:
        raise MissingDependency("sqlglot", extra="quality") from None
    try:
        trees = [tree for tree in parse(sqlglot) if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidInput(f"{text!r} is not a condition over columns: {reason}") from None
    except RecursionError:
        raise InvalidInput(f"{text[:80]!r}... is nested too deeply") from None
    if len(trees) != 1:
        raise InvalidInput(f"{text!r} is not a condition over columns: it is {len(trees)} statements")
    return trees[0]


def _is_unsafe(node: Any) -> bool:
    from sqlglot import exp

    unsafe = [name for name in ("ReadCSV", "ReadParquet", "Rand", "Randn", "CurrentUser") if hasattr(exp, name)]
    return isinstance(node, tuple(getattr(exp, name) for name in unsafe))


def _resolve(node: Any, schema: Mapping[str, ColumnType]) -> None:
    from sqlglot import exp

    name = node.name
    if node.table or isinstance(node.this, exp.Star):
        raise InvalidInput(f"{node.sql()!r} is not a column of the table")
    if name not in schema:
        folded = [each for each in schema if each.lower() == name.lower()]
        if len(folded) != 1 or node.this.args.get("quoted"):
            raise NotFound(f"the table has no column {name!r}", known=nearest(name, schema))
        name = folded[0]
    node.set("this", exp.to_identifier(name, quoted=True))


def _is_boolean(tree: Any, schema: Mapping[str, ColumnType]) -> bool:
    from sqlglot import exp

    if isinstance(tree, exp.Paren):
        return _is_boolean(tree.this, schema)
    if isinstance(tree, exp.Column):
        return schema[tree.name].kind == "bool"
    if isinstance(tree, exp.Case | exp.Coalesce | exp.Nullif | exp.If):
        return True  # decided by its branches, which the engine looks at
    if isinstance(tree, exp.Cast):
        return bool(tree.to.this.name == "BOOLEAN")
    logic = (exp.Connector, exp.Not, exp.Predicate, exp.Boolean, exp.Null, exp.Between, exp.In, exp.Is, exp.Like,
             exp.Escape, exp.RegexpLike, exp.StartsWith, exp.EndsWith, exp.NullSafeEQ, exp.NullSafeNEQ)  # fmt: skip
    return isinstance(tree, logic)
