"""The language that runs are found with: from text to a tree.

    metrics.auc > 0.9 AND params.depth BETWEEN 4 AND 8 AND NOT tags.team = 'web'
    min(metrics.loss) < 0.1 OR metrics.loss@100 < 0.5
    status = 'failed' AND started_at > now - 2d AND note CONTAINS 'retry' AND file LIKE 'plots/%'

Whatever MLflow's filters say is said here in the same words; OR, NOT, parentheses and the rest are more. The guide
`searching-runs` has it on one page.
"""

from __future__ import annotations

from datetime import datetime

from mainspring.kernel.clock import to_micros
from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.tracking.params import check_key
from mainspring.tracking.query_lexer import Token, error_at, tokens
from mainspring.tracking.query_pattern import check_pattern
from mainspring.tracking.query_tree import (
    Among,
    And,
    Between,
    Compare,
    Field,
    Missing,
    Node,
    Not,
    Now,
    Or,
    Order,
    Span,
    Special,
    Value,
)
from mainspring.tracking.query_words import RUN_WORDS, Words, kind_of, mismatch, spaces

__all__ = ["parse_order", "parse_query", "parse_time"]

_DEEPEST = 60
_LARGEST_STEP = 1 << 62
_PARTS = ("min", "max", "count", "step", "last")
_OPERATORS = {
    "=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "=~": "=~", "!~": "!~",
    "LIKE": "LIKE", "ILIKE": "ILIKE", "CONTAINS": "CONTAINS", "RLIKE": "=~", "IN": "IN", "BETWEEN": "BETWEEN",
    "IS": "IS",
}  # fmt: skip
_UNITS = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_RESERVED = ("AND", "OR", "NOT")


def parse_query(text: str, words: Words = RUN_WORDS) -> Node | None:
    """The tree of a filter; None for an empty one, which everything passes.

    Raises:
        InvalidInput: it cannot be read; the message shows the place, `known` the nearest words.

    Example:
        >>> parse_query("metrics.loss < 0.5")
        Compare(field=Field(space='metric', name='loss', part='last', at=None), operator='<', value=0.5, negated=False)
    """
    reader = _Reader(text, words)
    if reader.ended():
        return None
    found = reader.disjunction(0)
    if not reader.ended():
        raise reader.error("AND, OR or the end of the filter is expected here", known=("AND", "OR"))
    return found


def parse_order(text: str, words: Words = RUN_WORDS) -> Order:
    """One key of an order: `metrics.loss`, `params.depth DESC`, `-started_at`, `min(metrics.loss) ASC`."""
    stripped = text.strip()
    if stripped.startswith("-"):
        text, descending = stripped[1:], True
    else:
        descending = False
    reader = _Reader(text, words)
    start = reader.here
    field = reader.field()
    if kind_of(field, words) == "file":
        raise reader.error("nothing can be ordered by files", at=start)
    if reader.here.upper in ("ASC", "DESC"):
        descending = descending != (reader.take().upper == "DESC")
    if not reader.ended():
        raise reader.error("ASC, DESC or the end is expected here", known=("ASC", "DESC"))
    return Order(field, descending)


def parse_time(text: str) -> int:
    """Microseconds since 1970 of a time in a filter; a time without a zone is UTC. Raises `InvalidInput`."""
    try:
        return to_micros(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{text[:60]!r} is not a time", hint="2026-11-01, 2026-11-01T09:30, 2026-11-01T09:30+02:00"
        ) from None


class _Reader:
    """One pass over the tokens; each method reads what it is named after."""

    def __init__(self, text: str, words: Words) -> None:
        self.text = text
        self.words = words
        self.tokens = tokens(text)
        self.place = 0

    @property
    def here(self) -> Token:
        return self.tokens[self.place]

    def ended(self) -> bool:
        return self.here.kind == "end"

    def take(self) -> Token:
        token = self.here
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def accept(self, *uppers: str) -> bool:
        if self.here.upper in uppers:
            self.take()
            return True
        return False

    def expect(self, upper: str, problem: str) -> None:
        if not self.accept(upper):
            raise self.error(problem)

    def error(
        self, problem: str, *, at: Token | None = None, known: tuple[str, ...] | list[str] = (), hint: str = ""
    ) -> InvalidInput:
        token = at or self.here
        return error_at(self.text, token.start, token.end, problem, known=known, hint=hint)

    def disjunction(self, depth: int) -> Node:
        nodes = [self.conjunction(depth)]
        while self.accept("OR"):
            nodes.append(self.conjunction(depth))
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def conjunction(self, depth: int) -> Node:
        nodes = [self.negation(depth)]
        while self.accept("AND"):
            nodes.append(self.negation(depth))
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def negation(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.error(f"a filter may be nested {_DEEPEST} deep")
        if self.accept("NOT"):
            return Not(self.negation(depth + 1))
        if self.here.text == "(":
            opened = self.take()
            found = self.disjunction(depth + 1)
            if not self.accept(")"):
                raise self.error("this parenthesis is not closed", at=opened)
            return found
        return self.condition()

    def condition(self) -> Node:
        field = self.field()
        negated = self.accept("NOT")
        token = self.take()
        operator = _OPERATORS.get(token.upper, "")
        if not operator or (negated and operator not in ("IN", "BETWEEN", "LIKE", "ILIKE", "CONTAINS", "=~")):
            known = ["IN", "BETWEEN", "LIKE", "ILIKE", "CONTAINS", "=~"] if negated else self._operators(token)
            raise self.error("a comparison is expected here", at=token, known=known)
        if operator == "!~":
            operator, negated = "=~", True
        if operator == "IS":
            negated = self.accept("NOT")
            self.expect("NULL", "NULL or NOT NULL is expected here")
            return Missing(field, negated)
        if operator == "IN":
            return Among(field, self.values(field), negated)
        if operator == "BETWEEN":
            low = self.value(field, "BETWEEN")
            self.expect("AND", "AND and the upper end are expected here")
            return Between(field, low, self.value(field, "BETWEEN"), negated)
        return Compare(field, operator, self.value(field, operator), negated)  # type: ignore[arg-type]  # of the table

    def field(self) -> Field:
        token = self.take()
        if token.kind == "path":
            return self.of_path(token, "last")
        if token.kind == "word" and token.text.lower() in _PARTS and self.here.text == "(":
            self.take()
            inner = self.take()
            if inner.kind != "path":
                raise self.error(f"{token.text}(...) is of a metric: {token.text}(metrics.loss)", at=inner)
            found = self.of_path(inner, token.text.lower())
            if found.space != "metric" or found.at is not None:
                raise self.error(f"only of a metric there is a {token.text}(...)", at=inner)
            self.expect(")", "a closing parenthesis is expected here")
            return found
        if token.kind in ("word", "name", "quoted") and token.upper not in _RESERVED:
            return self.attribute(token, _bare(token.text))
        raise self.error("a metric, a parameter, a tag or another field is expected here", at=token, hint=_EXAMPLE)

    def of_path(self, token: Token, part: str) -> Field:
        prefix, _, name = token.text.partition(".")
        space = spaces().get(prefix.lower(), "")
        if space != "attribute" and space not in self.words.spaces:
            allowed = [*(f"{each}s" for each in self.words.spaces), "attributes"]
            problem = f"{self.words.what} have no {prefix!r}"
            raise self.error(problem, at=token, known=nearest(prefix.lower(), allowed), hint=_EXAMPLE)
        name = _bare(name)
        if space == "attribute":
            return self.attribute(token, name)
        try:
            check_key(name)
        except InvalidInput as error:
            raise self.error(error.message, at=token, hint=error.hint) from None
        if space == "metric" and self.here.text == "@":
            self.take()
            return Field("metric", name, at=self.step())
        return Field(space, name, part)  # type: ignore[arg-type]  # of the tables

    def attribute(self, token: Token, name: str) -> Field:
        found = self.words.find(name)
        if not found:
            known = [*self.words.attributes, *(word for each in self.words.attributes.values() for word in each.also)]
            problem = f"{self.words.what} have no field {name!r}"
            raise self.error(problem, at=token, known=nearest(name.lower(), known), hint=self._prefixed(name))
        return Field("attribute", found)

    def step(self) -> int:
        token = self.take()
        digits = token.text.removeprefix("-").removeprefix("+")
        if token.kind != "number" or not digits.isdigit() or len(digits) > 19 or abs(int(token.text)) >= _LARGEST_STEP:
            raise self.error("after @ comes a step, an integer", at=token)
        return int(token.text)

    def values(self, field: Field) -> tuple[Value, ...]:
        self.expect("(", "a list in parentheses is expected after IN")
        found = [self.value(field, "IN")]
        while self.accept(","):
            found.append(self.value(field, "IN"))
        self.expect(")", "a comma or a closing parenthesis is expected here")
        return tuple(found)

    def value(self, field: Field, operator: str) -> Value:
        token = self.here
        value = self.literal()
        kind = kind_of(field, self.words)
        if problem := mismatch(kind, operator, value):  # type: ignore[arg-type]  # of the table
            raise self.error(problem, at=token)
        try:
            if kind == "time" and isinstance(value, str):
                parse_time(value)
            if kind == "status" and isinstance(value, str) and operator in ("=", "!=", "IN"):
                _check_status(value)
            if operator == "=~" and isinstance(value, str):
                check_pattern(value)
        except InvalidInput as error:
            raise self.error(error.message, at=token, known=list(error.known), hint=error.hint) from None
        return value

    def literal(self) -> Value:
        token = self.take()
        if token.kind in ("text", "quoted"):
            quote = token.text[0]
            return token.text[1:-1].replace(quote * 2, quote)
        if token.kind == "number":
            return self.number(token)
        if token.kind == "span":
            return Span(_seconds(token.text))
        word = token.text.lower() if token.kind in ("word", "mark") else ""
        if word in ("+", "-") and self.here.text.lower() in ("inf", "infinity"):
            self.take()
            return Special("-inf" if word == "-" else "inf")
        if word in ("true", "false"):
            return word == "true"
        if word in ("nan", "inf", "infinity"):
            return Special("nan" if word == "nan" else "inf")
        if word == "now":
            return self.now()
        hint = f"texts stand in quotes: '{token.text}'" if token.kind in ("word", "path", "name") else ""
        raise self.error("a value is expected here", at=token, hint=hint)

    def now(self) -> Now:
        sign = self.take().text if self.here.text in ("+", "-") else ""
        token = self.here
        if token.kind == "span" and (sign or token.text[0] in "+-"):
            self.take()
            seconds = _seconds(token.text)
            return Now(-seconds if sign == "-" else seconds)
        if sign:
            raise self.error("a length of time is expected here: 90s, 5min, 2h, 3d, 1w")
        return Now()

    def number(self, token: Token) -> int | float:
        value = float(token.text)
        if value - value != 0:
            raise self.error("this number is too large", at=token)
        digits = token.text.lstrip("+-")
        return int(token.text) if digits.isdigit() and len(digits) < 19 else value

    def _operators(self, token: Token) -> list[str]:
        words = [each for each in _OPERATORS if each.isalpha()]
        return nearest(token.upper, words) if token.kind == "word" else ["=", "!=", "<", "<=", ">", ">=", *words]

    def _prefixed(self, name: str) -> str:
        first = self.words.spaces[0]
        return f"what was logged has a prefix: {first}s.{name}" if name.isidentifier() else ""


_EXAMPLE = "metrics.auc > 0.9 AND params.depth = 6 AND status = 'finished'"


def _bare(text: str) -> str:
    """A name without its quotes."""
    if text[:1] in ("`", '"') and len(text) > 1:
        return text[1:-1].replace(text[0] * 2, text[0])
    return text


def _seconds(text: str) -> float:
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    return float(number) * _UNITS[text[len(number) :]]


def _check_status(text: str) -> None:
    known = ("running", "finished", "failed", "cancelled", "crashed", "killed", "scheduled")
    if text.lower() not in known:
        raise InvalidInput(f"{text!r} is not a status of a run", known=nearest(text.lower(), known[:5]))
