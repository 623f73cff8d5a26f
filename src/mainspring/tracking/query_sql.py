"""A filter's tree as one SQL expression over `tracked_run r`.

Every condition is two-valued: it is true or false, never unknown, so that NOT means what it says. A condition on what
was logged is `r.number IN (SELECT run ...)` over one interned key, a range of a covering index; the database builds the
set once, where a join or EXISTS for every run would look into the widest tables run by run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from mainspring.kernel.errors import InvalidInput
from mainspring.store.transaction import Transaction
from mainspring.tracking.query_compare import NEVER, Part, either, number_parts, text_part, typed
from mainspring.tracking.query_tree import (
    Among,
    And,
    Between,
    Compare,
    Field,
    Missing,
    Node,
    Not,
    Operator,
    Or,
    Special,
    Value,
)
from mainspring.tracking.query_words import RUN_WORDS, Words, kind_of, mismatch

__all__ = ["Keys", "Scope", "compile_query"]

_MANY_KEYS = 200
_FEW_KEYS = 4
_COLUMNS = {"last": "v.last", "min": "v.minimum", "max": "v.maximum", "count": "v.count", "step": "v.step"}

Leaf = Compare | Among | Between | Missing
AtStep = Callable[[Field], dict[int, float]]
"""The value of a metric at a step by the number of the run."""


class Scope:
    """Which runs a question is about: those of some experiments, or of the whole workspace."""

    def __init__(self, tx: Transaction, experiments: Sequence[int] | None) -> None:
        self.tx = tx
        self.experiments = None if experiments is None else sorted(set(experiments))

    def part(self, column: str) -> Part:
        """The condition on a column of experiments."""
        if self.experiments is None:
            if column == "r.experiment_id":
                return "r.workspace = ?", (self.tx.workspace,)
            return f"{column} IN (SELECT id FROM experiment WHERE workspace = ?)", (self.tx.workspace,)  # noqa: S608 -- of constants
        if not self.experiments:
            return NEVER
        if len(self.experiments) == 1:
            return f"{column} = ?", (self.experiments[0],)
        marks = ", ".join(str(int(each)) for each in self.experiments)
        return f"{column} IN ({marks})", ()


class Keys:
    """The interned keys of names within a scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._found: dict[tuple[str, str], list[int]] = {}
        self.unknown: list[str] = []
        """Names that no run in the scope has, as they are written in a filter."""

    def find(self, space: str, name: str) -> list[int]:
        """The ids of a name's keys, one for each experiment that has it."""
        place = (space, name)
        if place not in self._found:
            within, params = self.scope.part("experiment_id")
            sql = f"SELECT id FROM run_key WHERE {within} AND space = ? AND name = ?"  # noqa: S608 -- of constants
            self._found[place] = [each for (each,) in self.scope.tx.rows(sql, (*params, space, name))]
            if not self._found[place]:
                self.unknown.append(f"{space}s.{name}")
        return self._found[place]

    def part(self, space: str, name: str) -> Part:
        """The condition on `v.key`."""
        ids = self.find(space, name)
        if len(ids) <= _MANY_KEYS:
            return (f"v.key = {ids[0]}" if len(ids) == 1 else f"v.key IN ({', '.join(map(str, ids))})"), ()
        within, params = self.scope.part("experiment_id")
        sql = f"v.key IN (SELECT id FROM run_key WHERE {within} AND space = ? AND name = ?)"  # noqa: S608 -- of constants
        return sql, (*params, space, name)


def compile_query(
    node: Node | None, keys: Keys, tx: Transaction, *, at_step: AtStep, words: Words = RUN_WORDS, probe: bool = False
) -> Part:
    """The condition on `r` that a tree says.

    Args:
        node: The tree; None for everything.
        keys: Of the scope that the question is about.
        tx: The moment and the dialect.
        at_step: Reads the values of a metric at a step, which no column has.
        words: Which language: of runs or of experiments.
        probe: Whether what was logged is looked up for one run after the other, for few runs, in place of sets.

    Raises:
        InvalidInput: a tree that no text of the language gives, such as a metric compared with a text.
    """
    return ("1 = 1", ()) if node is None else _Compiler(keys, tx, at_step, words, probe=probe).node(node)


class _Compiler:
    def __init__(self, keys: Keys, tx: Transaction, at_step: AtStep, words: Words, *, probe: bool) -> None:
        self._probe = probe
        self._keys = keys
        self._tx = tx
        self._at_step = at_step
        self._words = words

    def node(self, node: Node) -> Part:
        if isinstance(node, And | Or):
            return either([self.node(each) for each in node.nodes], " AND " if isinstance(node, And) else " OR ")
        if isinstance(node, Not):
            sql, params = self.node(node.node)
            return f"NOT ({sql})", params
        _check(node, self._words)
        if node.field.space == "attribute":
            return self._attribute(node)
        if node.field.at is not None:
            return self._at(node)
        if node.field.space == "tag" and self._words is not RUN_WORDS:
            return self._experiment_tag(node)
        return self._logged(node)

    def _logged(self, node: Leaf) -> Part:
        """A condition on a metric, a parameter or a tag."""
        field = node.field
        if not self._keys.find(field.space, field.name):
            return ("1 = 1" if isinstance(node, Missing) and not node.negated else NEVER[0]), ()
        key, params = self._keys.part(field.space, field.name)
        table = "metric" if field.space == "metric" else "run_value"
        column, special, text = _COLUMNS[field.part], "v.special" if field.part == "last" else "", ""
        if field.space != "metric":
            column, special, text = "v.number", "", "v.text"
        positive, negative = _split(node)
        if isinstance(node, Missing):
            there: list[Part] = [("1 = 1", ()) if special or text else (f"{column} IS NOT NULL", ())]
        else:
            there = self._alternatives(positive, column, special, text, "mixed" if text else "number")
        no = "NOT " if isinstance(node, Missing) and not node.negated else ""
        if self._probe and len(self._keys.find(field.space, field.name)) <= _FEW_KEYS:
            sql, values = either(there)
            if negative and not isinstance(node, Missing):
                sql = f"({sql}) IS NOT TRUE" if special or text else f"{column} IS NOT NULL AND ({sql}) IS NOT TRUE"
            # SQLite would take the index that covers the condition, and read the whole range for every run.
            index = f" INDEXED BY sqlite_autoindex_{table}_1" if self._tx.dialect == "sqlite" else ""
            found = f"{no}EXISTS (SELECT 1 FROM {table} v{index} WHERE v.run = r.number AND {key} AND {sql})"  # noqa: S608 -- of constants
            return found, (*params, *values)
        selects = [(f"SELECT v.run FROM {table} v WHERE {key} AND {sql}", (*params, *values)) for sql, values in there]  # noqa: S608 -- of constants
        if negative and not isinstance(node, Missing):
            sql, values = either(there)
            has = "" if special or text else f" AND {column} IS NOT NULL"
            selects = [(f"SELECT v.run FROM {table} v WHERE {key}{has} AND ({sql}) IS NOT TRUE", (*params, *values))]  # noqa: S608 -- of constants
        if not selects:
            return NEVER
        union = " UNION ALL ".join(sql for sql, _ in selects)
        return f"r.number {no}IN ({union})", tuple(value for _, values in selects for value in values)

    def _attribute(self, node: Leaf) -> Part:
        attribute = self._words.attributes[node.field.name]
        column = attribute.sql.replace("{now}", str(self._tx.now_micros))
        if attribute.kind == "file":
            return self._file(node)
        if column.startswith("(SELECT"):  # the experiment's name
            sql, params = self._with_presence(node, "e.name", attribute.kind)
            return f"r.experiment_id IN (SELECT e.id FROM experiment e WHERE {sql})", params  # noqa: S608 -- of constants
        return self._with_presence(node, column, attribute.kind)

    def _with_presence(self, node: Leaf, column: str, kind: str) -> Part:
        """A condition on a column where an empty text, or NULL, says that there is nothing."""
        textual = kind in ("text", "id", "status")
        present = f"{column} <> ''" if textual else f"{column} IS NOT NULL"
        if isinstance(node, Missing):
            return (present if node.negated else f"NOT ({present})"), ()
        positive, negative = _split(node)
        sql, params = either(
            self._alternatives(positive, "" if textual else column, "", column if textual else "", kind)
        )
        return (f"({present} AND ({sql}) IS NOT TRUE)" if negative else f"({present} AND {sql})"), params

    def _file(self, node: Leaf) -> Part:
        there = "EXISTS (SELECT 1 FROM run_file f WHERE f.run = r.number{})"
        if isinstance(node, Missing):
            return ("" if node.negated else "NOT ") + there.format(""), ()
        positive, negative = _split(node)
        sql, params = either(self._alternatives(positive, "", "", "f.path", "file"))
        return ("NOT " if negative else "") + there.format(f" AND {sql}"), params

    def _experiment_tag(self, node: Leaf) -> Part:
        name = node.field.name
        there = "EXISTS (SELECT 1 FROM experiment_tag v WHERE v.experiment_id = r.id AND v.key = ?{})"
        if isinstance(node, Missing):
            return ("" if node.negated else "NOT ") + there.format(""), (name,)
        positive, negative = _split(node)
        sql, params = either(self._alternatives(positive, "NULL", "", "v.value", "mixed"))
        return there.format(f" AND ({sql}) IS NOT TRUE" if negative else f" AND {sql}"), (name, *params)

    def _at(self, node: Leaf) -> Part:
        """A condition on a metric at a step: read here, handed to the database as a list of runs."""
        values = self._at_step(node.field)
        if isinstance(node, Missing):
            chosen, no = list(values), "" if node.negated else "NOT "
        else:
            positive, negative = _split(node)
            chosen, no = [run for run, value in values.items() if _holds(positive, value) != negative], ""
        if self._tx.dialect == "postgres":
            listed = "SELECT value::bigint FROM json_array_elements_text(CAST(? AS json))"
        else:
            listed = "SELECT value FROM json_each(?)"
        return f"r.number {no}IN ({listed})", (json.dumps(sorted(chosen)),)

    def _alternatives(self, node: Leaf, number: str, special: str, text: str, kind: Any) -> list[Part]:
        """The positive form of a leaf, as alternatives."""
        if isinstance(node, Among):
            return [part for each in node.values for part in self._compared(number, special, text, "=", each, kind)]
        if isinstance(node, Between):
            low = either(self._compared(number, special, text, ">=", node.low, kind))
            return [either([low, either(self._compared(number, special, text, "<=", node.high, kind))], " AND ")]
        assert isinstance(node, Compare)  # noqa: S101 -- a Missing has no value and never comes here
        return self._compared(number, special, text, node.operator, node.value, kind)

    def _compared(
        self, number: str, special: str, text: str, operator: Operator, value: Value, kind: Any
    ) -> list[Part]:
        known = typed(kind, value, self._tx.now_micros)
        if isinstance(known, bool):
            words = ("true", "True") if known else ("false", "False")
            return [text_part(text, operator, each, self._tx.dialect) for each in words]
        if isinstance(known, str):
            return [text_part(text, operator, known, self._tx.dialect)]
        return number_parts(number, special, operator, known)


def _split(node: Leaf) -> tuple[Leaf, bool]:
    """The positive form of a leaf, and whether its negation is meant."""
    if isinstance(node, Missing) or not (node.negated or getattr(node, "operator", "") == "!="):
        return node, False
    if isinstance(node, Compare):
        positive: Operator = "=" if node.operator == "!=" else node.operator
        return Compare(node.field, positive, node.value), node.negated != (node.operator == "!=")
    return (
        Among(node.field, node.values) if isinstance(node, Among) else Between(node.field, node.low, node.high)
    ), True


def _check(node: Leaf, words: Words) -> None:
    kind = kind_of(node.field, words)
    values: Sequence[Value] = ()
    if isinstance(node, Among):
        values = node.values
    elif isinstance(node, Between):
        values = (node.low, node.high)
    elif isinstance(node, Compare):
        values = (node.value,)
    operator = node.operator if isinstance(node, Compare) else "BETWEEN" if isinstance(node, Between) else "IN"
    for value in values:
        if problem := mismatch(kind, operator, value):
            raise InvalidInput(f"{node.field.space} {node.field.name!r}: {problem}")


def _holds(node: Leaf, value: float) -> bool:
    """A positive leaf of a metric's value; NaN equals only NaN."""
    if isinstance(node, Among):
        return any(_compare(value, "=", _float(each)) for each in node.values)
    if isinstance(node, Between):
        return _compare(value, ">=", _float(node.low)) and _compare(value, "<=", _float(node.high))
    return isinstance(node, Compare) and _compare(value, node.operator, _float(node.value))


def _float(value: Any) -> float:
    return float(value.name) if isinstance(value, Special) else float(value)


def _compare(left: float, operator: str, right: float) -> bool:
    if operator == "=":
        return left == right or (left != left and right != right)  # noqa: PLR0124 -- both are NaN
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]
