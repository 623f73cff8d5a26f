"""MLflow's filters and orders, read with its rules and said again in the language of the tracking room.

MLflow's grammar says less (only AND, values in quotes, few lists), and its clients rely on what it refuses, so it is
read here strictly and not handed to our language, which would let more pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from mainspring.protocols.mlflow.failures import internal, invalid
from mainspring.tracking.query_tree import (
    Among,
    And,
    Compare,
    Field,
    Missing,
    Node,
    Not,
    Operator,
    Or,
    field_text,
    text_of,
)

__all__ = [
    "DATASETS_TAG",
    "EXPERIMENTS",
    "RUNS",
    "STATUSES",
    "Clause",
    "Vocabulary",
    "clauses",
    "read_filter",
    "read_order",
]

STATUSES: Mapping[str, tuple[str, ...]] = {
    "RUNNING": ("running",),
    "SCHEDULED": (),
    "FINISHED": ("finished",),
    "FAILED": ("failed", "crashed"),
    "KILLED": ("cancelled",),
}
"""Our statuses for each of MLflow's."""

DATASETS_TAG = "mainspring.datasets"
"""The tag that says which datasets a run had as inputs: lines of name, digest and context, divided by tabs."""

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<op>>=|<=|!=|<>|=|<|>)
  | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
  | (?P<text>'(?:[^']|'')*')
  | (?P<open>\() | (?P<close>\)) | (?P<comma>,)
  | (?P<word>(?:`[^`]*`|"[^"]*"|[^\s'"`(),=<>!])+)
  | (?P<other>\S)
    )""",
    re.VERBOSE,
)
_ORDER = {"=", "!=", "<", "<=", ">", ">="}
_LIKE = {"LIKE", "ILIKE"}
_NULL = {"IS NULL", "IS NOT NULL"}
_IN = {"IN", "NOT IN"}
_ENTITIES = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("parameter", "parameters", "param", "params"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
}
_DATASET = {"name": "\n{}\t", "digest": "\t{}\t", "context": "\t{}\n"}
_NEVER = Compare(Field("attribute", "run_id"), "=", "none")


class Vocabulary(msgspec.Struct, frozen=True):
    """What one kind of search may name."""

    attributes: Mapping[str, str]
    """Our word for each attribute."""
    numeric: frozenset[str]
    lists: frozenset[str]
    """Attributes that compare with a list."""
    entities: tuple[str, ...]
    tags: Mapping[str, str] = {}
    """Tags of MLflow that are attributes here."""
    misfit: str = "Invalid comparator '{operator}' not one of '{allowed}'"
    """What is said of a comparison that an attribute does not have."""


RUNS = Vocabulary(
    {
        "run_id": "run_id",
        "run_name": "title",
        "run name": "title",
        "Run name": "title",
        "Run Name": "title",
        "user_id": "user",
        "status": "status",
        "start_time": "started_at",
        "created": "started_at",
        "Created": "started_at",
        "end_time": "finished_at",
        "artifact_uri": "",
    },
    frozenset({"start_time", "end_time", "created", "Created"}),
    frozenset({"run_id"}),
    ("metric", "param", "tag", "attribute", "dataset"),
    {"mlflow.runName": "title", "mlflow.note.content": "note", "mlflow.parentRunId": "parent"},
)
"""Of `runs/search`."""

EXPERIMENTS = Vocabulary(
    {
        "name": "name",
        "experiment_id": "experiment_id",
        "creation_time": "created_at",
        "last_update_time": "updated_at",
    },
    frozenset({"creation_time", "last_update_time"}),
    frozenset({"experiment_id"}),
    ("tag", "attribute"),
    {"mlflow.note.content": "note"},
)
"""Of `experiments/search`."""


class Clause(msgspec.Struct, frozen=True):
    """One comparison: `entity.key operator value`."""

    entity: str
    key: str
    operator: str
    value: str | float | tuple[str, ...] | None


def read_filter(text: str, words: Vocabulary, *, identify: Callable[[str], int] | None = None) -> str:
    """A filter of MLflow in our language; empty for an empty one.

    Args:
        text: As the client wrote it.
        words: What it may name.
        identify: The number of an experiment from the protocol's id.

    Raises:
        MlflowError: INVALID_PARAMETER_VALUE, for everything that MLflow refuses.

    Example:
        >>> read_filter("metrics.`val loss` < 0.5 and params.depth = '6'", RUNS)
        "metrics.`val loss` < 0.5 AND params.depth = '6'"
    """
    nodes = [_node(each, words, identify) for each in clauses(text, words)]
    if not nodes:
        return ""
    return text_of(nodes[0] if len(nodes) == 1 else And(tuple(nodes)))


def read_order(orders: Sequence[str], words: Vocabulary) -> list[str]:
    """Keys of an order in our language."""
    found: list[str] = []
    seen: set[tuple[str, str]] = set()
    for order in orders:
        parts = [match.group().strip() for match in _TOKEN.finditer(order.strip())]
        if not 1 <= len(parts) <= 2 or not parts[0]:
            raise invalid(f"Invalid order_by clause '{order}'. Could not be parsed.")
        if len(parts) == 2 and parts[1].lower() not in ("asc", "desc"):
            raise invalid(f"Invalid ordering key in order_by clause '{order}'.")
        entity, key = _identifier(parts[0], words)
        if entity == "dataset":
            raise invalid(f"Invalid order_by entity type '{entity}'")
        if (entity, key) in seen:
            raise internal(f"`order_by` contains duplicate fields: {list(orders)}")
        seen.add((entity, key))
        field = _field(entity, key, words)
        found.append(f"{field_text(field)} {'DESC' if len(parts) == 2 and parts[1].lower() == 'desc' else 'ASC'}")
    return found


def clauses(text: str, words: Vocabulary) -> list[Clause]:
    """The comparisons of a filter, all of which must hold."""
    reader = _Reader(text)
    found: list[Clause] = []
    if reader.done:
        if text:
            raise invalid(f"Invalid filter '{text}'. Could not be parsed.")
        return found
    while True:  # AND is passed over wherever it stands, as in MLflow, where people leave it out
        if not reader.word("AND"):
            found.append(_clause(reader, words))
        if reader.place == len(reader.tokens):
            return found


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        for match in _TOKEN.finditer(text.strip().removesuffix(";")):
            kind = str(match.lastgroup)
            if kind == "other":
                raise invalid(f"Invalid clause(s) in filter string: '{match.group().strip()}'")
            self.tokens.append((kind, match.group(kind)))
        self.place = 0

    @property
    def done(self) -> bool:
        return self.place >= len(self.tokens)

    def take(self) -> tuple[str, str]:
        if self.done:
            raise invalid(f"Invalid clause(s) in filter string: '{self.text}'")
        self.place += 1
        return self.tokens[self.place - 1]

    def word(self, *expected: str) -> bool:
        if not self.done and self.tokens[self.place][1].upper() in expected:
            self.place += 1
            return True
        return False


def _clause(reader: _Reader, words: Vocabulary) -> Clause:
    kind, name = reader.take()
    if kind != "word" or name.upper() in ("AND", "OR", "NOT"):
        raise invalid(f"Invalid clause(s) in filter string: '{name}'")
    if name.lower() == "run" and not reader.done and reader.tokens[reader.place][1].lower() == "name":
        name = f"{name} {reader.take()[1]}"
    if reader.done:
        raise invalid(f"Invalid clause(s) in filter string: '{name}'")
    entity, key = _identifier(name, words)
    operator = _operator(reader)
    _check_operator(entity, key, operator, words)
    if operator in _NULL:
        return Clause(entity, key, operator, None)
    return Clause(entity, key, operator, _value(reader, entity, key, operator, words))


def _operator(reader: _Reader) -> str:
    kind, sign = reader.take()
    upper = sign.upper()
    if kind == "op":
        return "!=" if sign == "<>" else sign
    if upper == "IS":
        negated = reader.word("NOT")
        if reader.word("NULL"):
            return "IS NOT NULL" if negated else "IS NULL"
    elif upper == "NOT" and reader.word("IN"):
        return "NOT IN"
    elif upper in ("LIKE", "ILIKE", "IN", "RLIKE"):
        return upper
    raise invalid(f"Invalid clause(s) in filter string: '{reader.text}'")


def _check_operator(entity: str, key: str, operator: str, words: Vocabulary) -> None:
    if operator in _NULL and entity not in ("tag", "param"):
        raise invalid(f"IS NULL / IS NOT NULL is only supported for tags and params, not for '{entity}' '{key}'")
    if entity == "metric" or (entity == "attribute" and key in words.numeric):
        allowed = _ORDER
    elif entity in ("param", "tag"):
        allowed = {"=", "!="} | _LIKE | _NULL
    else:
        allowed = {"=", "!="} | _LIKE | _IN
    if operator not in allowed:
        raise invalid(words.misfit.format(operator=operator, allowed=allowed))


def _value(reader: _Reader, entity: str, key: str, operator: str, words: Vocabulary) -> str | float | tuple[str, ...]:
    kind, token = reader.take()
    if entity == "metric" or (entity == "attribute" and key in words.numeric):
        if kind != "number":
            raise invalid(f"Expected numeric value type for {entity}. Found {token}")
        return float(token) if not token.lstrip("+-").isdigit() else int(token)
    if kind == "open" and operator in _IN:
        if entity == "attribute" and key not in words.lists:
            raise invalid(
                f"Only {sorted(words.lists)} attributes support comparison with a list of quoted string values."
            )
        return _list(reader)
    quoted = kind == "text" or (kind == "word" and len(token) > 1 and token[0] == token[-1] == '"')
    if operator in _IN or not quoted:
        raise invalid(f"Expected a quoted string value for {entity} (e.g. 'my-value'). Got value {token}")
    return token[1:-1].replace("''", "'") if kind == "text" else token[1:-1]


def _list(reader: _Reader) -> tuple[str, ...]:
    values = []
    while True:
        kind, token = reader.take()
        if kind != "text" and not (kind == "word" and token[0] == token[-1] == '"'):
            raise invalid(
                "While parsing a list in the query, expected string value, punctuation, or whitespace, but got "
                f"different type in list: {token}"
            )
        values.append(token[1:-1])
        kind, token = reader.take()
        if kind == "close":
            return tuple(values)
        if kind != "comma":
            raise invalid(f"Invalid clause(s) in filter string: '{token}'")


def _identifier(name: str, words: Vocabulary) -> tuple[str, str]:
    head, dot, rest = name.partition(".")
    if name[0] in '`"' or not dot:
        entity, key = "attribute", name
    else:
        entity, key = _ENTITIES.get(head, ""), rest
        if entity not in words.entities:
            raise invalid(f"Invalid entity type '{head}'. Valid values are {list(words.entities)}")
    if len(key) > 1 and key[0] == key[-1] and key[0] in "`\"'":
        key = key[1:-1]
    if entity == "attribute" and key not in words.attributes:
        raise invalid(f"Invalid attribute key '{key}' specified. Valid keys are '{sorted(words.attributes)}'")
    if entity == "dataset" and key not in _DATASET:
        raise invalid(f"Invalid dataset key '{key}' specified. Valid keys are '{sorted(_DATASET)}'")
    if not key:
        raise invalid(f"Invalid identifier '{name}'.")
    return entity, key


def _field(entity: str, key: str, words: Vocabulary) -> Field:
    if entity == "tag" and key in words.tags:
        return Field("attribute", words.tags[key])
    if entity == "attribute":
        if not words.attributes[key]:
            raise invalid(f"Runs are not found or ordered by '{key}' here; use run_id")
        return Field("attribute", words.attributes[key])
    return Field(entity, key)  # type: ignore[arg-type]  # metric, param or tag


def _node(clause: Clause, words: Vocabulary, identify: Callable[[str], int] | None) -> Node:
    if clause.entity == "dataset":
        return _dataset(clause)
    field = _field(clause.entity, clause.key, words)
    if clause.operator in _NULL:
        return Missing(field, negated=clause.operator == "IS NOT NULL")
    if field == Field("attribute", "status"):
        return _status(clause, field)
    if field == Field("attribute", "experiment_id"):
        return _experiment(clause, field, identify)
    if isinstance(clause.value, tuple):
        return Among(field, clause.value, negated=clause.operator == "NOT IN")
    operator: Operator = clause.operator  # type: ignore[assignment]  # checked against the table
    return Compare(field, operator, clause.value)  # type: ignore[arg-type]  # a list is above


def _status(clause: Clause, field: Field) -> Node:
    chosen = [each for each in STATUSES if _holds(each, clause.operator, str(clause.value))]
    ours = tuple(inner for each in chosen for inner in STATUSES[each])
    return Among(field, ours) if ours else _NEVER


def _experiment(clause: Clause, field: Field, identify: Callable[[str], int] | None) -> Node:
    given = clause.value if isinstance(clause.value, tuple) else (str(clause.value),)
    numbers = tuple((identify or int)(each) for each in given if each.isdigit() and len(each) < 19)
    if clause.operator in _LIKE:
        raise invalid(f"Invalid comparator '{clause.operator}' for experiment_id")
    return Among(field, numbers or (-1,), negated=clause.operator in ("!=", "NOT IN"))


def _dataset(clause: Clause) -> Node:
    field, form = Field("tag", DATASETS_TAG), _DATASET[clause.key]
    if isinstance(clause.value, tuple):
        found: Node = Or(tuple(Compare(field, "CONTAINS", form.format(each)) for each in clause.value))
    elif clause.operator in _LIKE:
        like: Operator = "LIKE" if clause.operator == "LIKE" else "ILIKE"
        found = Compare(field, like, f"%{form.format(clause.value)}%")
    else:
        found = Compare(field, "CONTAINS", form.format(clause.value))
    if clause.operator in ("!=", "NOT IN"):
        return And((Missing(field, negated=True), Not(found)))
    return found


def _holds(text: str, operator: str, value: str) -> bool:
    if operator in ("=", "!="):
        return (text == value) == (operator == "=")
    pattern = "".join(".*" if each == "%" else "." if each == "_" else re.escape(each) for each in value)
    return re.fullmatch(pattern, text, re.IGNORECASE if operator == "ILIKE" else 0) is not None
