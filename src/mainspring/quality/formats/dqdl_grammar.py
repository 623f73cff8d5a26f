"""The grammar of DQDL, the rule language of AWS Glue Data Quality: text to a tree, with line and column of every error.

Read by hand, since the grammar is that of a generated parser (ANTLR) whose run time would be a dependency for one page
of rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from mainspring.kernel.errors import InvalidInput

__all__ = ["Condition", "Document", "Join", "Now", "Operand", "Rule", "Token", "parse", "refused"]

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|\#[^\n]*)
      | (?P<string>"(?:\\.|[^"\\])*")
      | (?P<number>\d+(?:\.\d+)?(?![\w.]))
      | (?P<word>[A-Za-z0-9_.]+)
      | (?P<mark>!=|>=|<=|[=<>\[\](){},:+\-*/$!])
    """,
    re.VERBOSE,
)
_UNITS = {"minutes": 60, "hours": 3600, "days": 86400, "minute": 60, "hour": 3600, "day": 86400}
_KEYWORDS = {"null": "NULL", "empty": "EMPTY", "whitespaces_only": "WHITESPACES_ONLY"}
_STOPS = {"and", "or", "where", "with", "between", "in", "not", "matches", "null", "empty", "whitespaces_only"}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


class Token(NamedTuple):
    """A word of the text and where it stands."""

    kind: str
    text: str
    line: int
    column: int
    start: int = 0

    @property
    def end(self) -> int:
        """Where it ends in the text."""
        return self.start + len(self.text)


class Now(NamedTuple):
    """A moment that is told from now, so many seconds later."""

    seconds: float


class Seconds(NamedTuple):
    """A duration."""

    seconds: float


class Operand(NamedTuple):
    """What a value is compared with: a number, a text, a date, a keyword, a time from now, or what history gives."""

    kind: Literal["number", "text", "date", "now", "duration", "keyword", "dynamic"]
    value: Any


class Condition(NamedTuple):
    """An operator, whether it is negated, and what it compares with."""

    operator: Literal["=", ">", ">=", "<", "<=", "between", "in", "matches"]
    negated: bool
    operands: tuple[Operand, ...]


class Rule(msgspec.Struct, frozen=True):
    """One rule."""

    name: str
    parameters: tuple[str, ...]
    condition: Condition | None
    where: str
    tags: dict[str, Condition]
    at: Token
    text: str


class Join(msgspec.Struct, frozen=True):
    """Rules joined by `and` or `or`."""

    operator: Literal["and", "or"]
    parts: tuple[Any, ...]
    text: str


class Document(msgspec.Struct, frozen=True):
    """All sections of a text."""

    rules: tuple[Rule | Join, ...]
    analyzers: tuple[str, ...] = ()
    sections: dict[str, dict[str, Any]] = {}


def refused(at: Token, reason: str, **more: Any) -> InvalidInput:
    """The error of a place in the text."""
    return InvalidInput(f"line {at.line}, column {at.column}: {reason}", **more)


def parse(text: str, known: Callable[[str], bool]) -> Document:
    """The tree of a text; `known` says which words are types of rules."""
    return _Parser(text, known).document()


def _tokens(text: str) -> list[Token]:
    found, place, line, start = [], 0, 1, 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            what = "a text that does not end" if text[place] == '"' else f"{text[place]!r}"
            raise refused(Token("mark", text[place], line, place - start + 1), f"{what} is no part of DQDL")
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(Token(kind, match.group(), line, place - start + 1, place))
        newlines = match.group().count("\n")
        if newlines:
            line += newlines
            start = place + match.group().rindex("\n") + 1
        place = match.end()
    found.append(Token("end", "the end", line, place - start + 1))
    return found


class _Parser:
    def __init__(self, text: str, known: Callable[[str], bool]) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.place = 0
        self.known = known
        self.variables: dict[str, list[Operand]] = {}

    @property
    def now(self) -> Token:
        return self.tokens[self.place]

    def next(self) -> Token:
        token = self.now
        if token.kind != "end":
            self.place += 1
        return token

    def is_word(self, *words: str, ahead: int = 0) -> bool:
        token = self.tokens[min(self.place + ahead, len(self.tokens) - 1)]
        return token.kind in {"word", "mark"} and token.text.lower() in words

    def take(self, *words: str) -> bool:
        if not self.is_word(*words):
            return False
        self.next()
        return True

    def need(self, word: str, why: str) -> Token:
        if not self.is_word(word):
            raise refused(self.now, f"{word!r} is expected {why}, not {self.now.text}")
        return self.next()

    def document(self) -> Document:
        rules: tuple[Rule | Join, ...] | None = None
        analyzers: list[str] = []
        sections: dict[str, dict[str, Any]] = {}
        while self.now.kind != "end":
            name = self.next()
            if name.kind != "word":
                raise refused(name, f"a section begins with its name, not with {name.text}")
            self.need("=", f"after {name.text}")
            if name.text == "Rules":
                rules = self._list(self._join)
            elif name.text == "Analyzers":
                analyzers = [" ".join(each) for each in self._list(self._analyzer)]
            elif name.text in {"Metadata", "DataSources"}:
                sections[name.text] = self._dictionary()
            else:
                self.variables[name.text] = self._members() if self.is_word("[") else [self._operand()]
        if rules is None and not analyzers:
            raise refused(self.now, "there are no rules", hint="write Rules = [ RowCount > 0 ]")
        return Document(rules=rules or (), analyzers=tuple(analyzers), sections=sections)

    def _list(self, read: Callable[[], Any]) -> tuple[Any, ...]:
        self.need("[", "to begin a list")
        found: list[Any] = []
        while not self.take("]"):
            if found:
                self.need(",", "between two entries")
            found.append(read())
        return tuple(found)

    def _analyzer(self) -> list[str]:
        words: list[str] = []
        while not self.is_word(",", "]") and self.now.kind != "end":
            words.append(self.next().text)
        return words

    def _dictionary(self) -> dict[str, Any]:
        self.need("{", "to begin a dictionary")
        found: dict[str, Any] = {}
        while not self.take("}"):
            if found:
                self.need(",", "between two entries")
            key = self._string()
            self.need(":", "after a key")
            found[key] = list(self._list(self._string)) if self.is_word("[") else self._string()
        return found

    def _string(self) -> str:
        if self.now.kind != "string":
            raise refused(self.now, f"a text in double quotes is expected, not {self.now.text}")
        return re.sub(r'\\(["\\])', r"\1", self.next().text[1:-1])

    def _join(self, operator: Literal["and", "or"] = "or") -> Rule | Join:
        """`and` binds closer than `or`."""
        start = self.place
        parts = [self._factor() if operator == "and" else self._join("and")]
        while self.take(operator):
            parts.append(self._factor() if operator == "and" else self._join("and"))
        return parts[0] if len(parts) == 1 else Join(operator, tuple(parts), self._text(start))

    def _factor(self) -> Rule | Join:
        if self.take("("):
            inner = self._join()
            self.need(")", "to close a parenthesis")
            return inner
        return self._rule()

    def _rule(self) -> Rule:
        start, name = self.place, self.next()
        if name.kind != "word" or not self.known(name.text):
            raise refused(name, f"{name.text} is no type of rule")
        parameters: list[str] = []
        while True:
            ahead = int(self.is_word("of", "and") and bool(parameters or self.is_word("of")))
            token = self.tokens[min(self.place + ahead, len(self.tokens) - 1)]
            if token.kind == "string" or (
                token.kind == "word" and token.text.lower() not in _STOPS and not self.known(token.text)
            ):
                self.place += ahead
                parameters.append(self._string() if self.now.kind == "string" else self.next().text)
                continue
            break
        condition = self._condition()
        where = self._string() if self.take("where") else ""
        tags: dict[str, Condition] = {}
        while self.take("with"):
            tag = self.next()
            found = self._condition()
            if found is None:
                raise refused(self.now, f"a condition is expected after {tag.text}, not {self.now.text}")
            tags[tag.text] = found
        return Rule(name.text, tuple(parameters), condition, where, tags, name, self._text(start))

    def _condition(self) -> Condition | None:
        at = self.now
        negated = self.take("not")
        if self.take("!="):
            return Condition("=", negated=not negated, operands=(self._operand(),))
        if self.take("between"):
            low = self._operand()
            self.need("and", "between the ends of a range")
            return Condition("between", negated, (low, self._operand()))
        if self.take("in"):
            return Condition("in", negated, tuple(self._members()))
        if self.take("matches"):
            return Condition("matches", negated, (Operand("text", self._string()),))
        for operator in ("=", ">", ">=", "<", "<="):
            if not negated and self.take(operator):
                return Condition(operator, negated, (self._operand(),))
        if negated:
            raise refused(at, "not is followed by between, in or matches")
        return None

    def _members(self) -> list[Operand]:
        if self.is_word("$"):
            return self._variable()
        return [each for group in self._list(self._member) for each in group]

    def _member(self) -> list[Operand]:
        return self._variable() if self.is_word("$") else [self._operand()]

    def _variable(self) -> list[Operand]:
        self.next()
        name = self.next()
        if name.text not in self.variables:
            raise refused(name, f"the variable {name.text} has no value", known=sorted(self.variables))
        return self.variables[name.text]

    def _operand(self) -> Operand:
        at, start = self.now, self.place
        if self.is_word("$"):
            values = self._variable()
            if len(values) != 1:
                raise refused(at, "one value is expected, and the variable is a list")
            return values[0]
        if at.kind == "string":
            text = self._string()
            return Operand("date" if _DATE.match(text) else "text", text)
        if at.text.lower() in _KEYWORDS:
            self.next()
            return Operand("keyword", _KEYWORDS[at.text.lower()])
        value = self._sum()
        if isinstance(value, Now):
            return Operand("now", value.seconds)
        if isinstance(value, Seconds):
            return Operand("duration", value.seconds)
        return Operand("number", value) if value is not None else Operand("dynamic", self._text(start))

    def _sum(self) -> Any:
        """The value of an expression; None when it depends on history."""
        value = self._product()
        while self.is_word("+", "-"):
            at = self.next()
            other = self._product()
            sign = 1 if at.text == "+" else -1
            if isinstance(value, Now) and isinstance(other, Seconds):
                value = Now(value.seconds + sign * other.seconds)
            elif isinstance(value, Now | Seconds) or isinstance(other, Now | Seconds):
                raise refused(at, "only now() has a duration added to it")
            else:
                value = None if value is None or other is None else value + sign * other
        return value

    def _product(self) -> Any:
        value = self._atom()
        while self.is_word("*", "/"):
            at = self.next()
            other = self._atom()
            if isinstance(value, Now | Seconds) or isinstance(other, Now | Seconds):
                raise refused(at, "numbers are multiplied, not times")
            if at.text == "/" and other == 0:
                raise refused(at, "this divides by 0")
            if value is not None:
                value = None if other is None else value * other if at.text == "*" else value / other
        return value

    def _atom(self) -> Any:
        token = self.next()
        if token.text == "-":
            value = self._atom()
            if isinstance(value, Now | Seconds):
                raise refused(token, "a time has no sign")
            return None if value is None else -value
        if token.text == "(":
            value = self._sum()
            self.need(")", "to close a parenthesis")
            return value
        if token.kind == "number":
            number = float(token.text) if "." in token.text else int(token.text)
            if self.now.kind == "word" and self.now.text.lower() in _UNITS:
                return Seconds(number * _UNITS[self.next().text.lower()])
            return number
        if token.kind == "word" and self.is_word("("):
            self.next()
            if token.text == "now":
                self.need(")", "after now(")
                return Now(0.0)
            if token.text not in FUNCTIONS:
                raise refused(token, f"{token.text} is no function", known=sorted(FUNCTIONS))
            while not self.take(")"):
                self._sum()
                if not self.is_word(")"):
                    self.need(",", "between two arguments")
            return None
        raise refused(token, f"a value is expected, not {token.text}")

    def _text(self, start: int) -> str:
        """What was read since a token, as it is written."""
        return self.text[self.tokens[start].start : self.tokens[self.place - 1].end]


FUNCTIONS = {"last", "avg", "mean", "sum", "min", "max", "std", "median", "percentile", "index", "abs", "sqrt", "log",
             "log10", "exp", "pow", "round", "ceil", "floor"}  # fmt: skip
"""The functions of dynamic rules: `last(k)` is the k values before, the others reckon with them."""
