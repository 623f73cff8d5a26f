"""Questions about a text that engines answer each in their own way, or not at all: answered here, once for all.

An adapter asks them of the distinct values of a column, in batches, and never of the whole table.
"""

from __future__ import annotations

import functools
import json
import re
import warnings
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from mainspring.engines.predicates import FitsJsonSchema, Matches, Parses
from mainspring.kernel.errors import InvalidInput, MissingDependency

__all__ = ["FORMS", "PATTERNS", "like_regex", "texts_that_hold", "verdict_of"]

PATTERNS = {
    "integer": "^[+-]?[0-9]+$",
    "number": r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$",
    "boolean": "^([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])$",
    "datetime": "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$",
}
"""What a text reads as, in expressions that all engines understand alike; `datetime` is the shape of ISO 8601."""

FORMS = ("integer", "number", "boolean", "datetime", "text")
"""The forms of `TextForms`: a text is counted under the first that it has."""

Asked = Parses | FitsJsonSchema | Matches


def verdict_of(predicate: Asked) -> Callable[[str], bool]:
    """The function that says whether a text holds."""
    match predicate:
        case Parses(_, "json", _):
            return _reads_as_json
        case Parses(_, "datetime", ""):
            return _dateutil()
        case Parses(_, "datetime", form):
            return functools.partial(_reads_by, form)
        case Parses(_, form, _):
            return functools.partial(_matches, re.compile(PATTERNS[form].replace("$", r"\Z")))
        case FitsJsonSchema(_, schema):
            return _schema(schema)
    raise InvalidInput(f"{predicate!r} is not asked of single texts")


def texts_that_hold(predicate: Asked, texts: Iterable[str]) -> list[bool]:
    """Whether each text holds; a regular expression is asked of Polars, whose answer is the reference."""
    if isinstance(predicate, Matches):
        import polars as pl

        from mainspring.engines.tables_regex import portable

        values = pl.Series(list(texts), dtype=pl.String)
        return values.str.contains(portable(predicate.pattern, "rust") or predicate.pattern).to_list()
    holds = verdict_of(predicate)
    return [holds(text) for text in texts]


def like_regex(pattern: str, escape: str) -> str:
    r"""The regular expression that matches what a LIKE pattern does.

    Example:
        >>> like_regex("a%!_", "!")
        '(?s)^a.*_$'
    """
    if len(escape) > 1:
        raise InvalidInput(f"{escape!r} is not one character, as the escape of LIKE must be")
    parts, characters = [], iter(pattern)
    for character in characters:
        if escape and character == escape:
            following = next(characters, None)
            if following is None:
                raise InvalidInput(f"the LIKE pattern {pattern!r} ends with its escape character")
            parts.append(_quoted(following))
        else:
            parts.append({"%": ".*", "_": "."}.get(character) or _quoted(character))
    return f"(?s)^{''.join(parts)}$"


def _quoted(character: str) -> str:
    return f"\\{character}" if character in r"\.+*?()|[]{}^$" else character


def _matches(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.match(text) is not None


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _reads_as_json(text: str) -> bool:
    try:
        # Numbers stay text, since the size of a number decides nothing here but the time it takes.
        json.loads(text, parse_constant=_refuse_constant, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def _reads_by(form: str, text: str) -> bool:
    try:
        datetime.strptime(text, form)  # noqa: DTZ007 -- whether it reads is asked, not when it is
    except ValueError:
        return False
    return True


def _dateutil() -> Callable[[str], bool]:
    try:
        from dateutil import parser
    except ImportError:
        raise MissingDependency("python-dateutil", extra="quality") from None

    def reads(text: str) -> bool:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an unknown zone is warned of, and still reads
                parser.parse(text)
        except (ValueError, OverflowError, TypeError):
            return False
        return True

    return reads


@functools.lru_cache(maxsize=64)
def _schema(schema: str) -> Callable[[str], bool]:
    try:
        import jsonschema
    except ImportError:
        raise MissingDependency("jsonschema", extra="quality") from None
    try:
        rules = json.loads(schema)
        kind = jsonschema.validators.validator_for(rules)
        kind.check_schema(rules)
    except (ValueError, jsonschema.SchemaError) as error:
        raise InvalidInput(f"not a JSON schema: {str(error).partition(chr(10))[0]}") from None
    validator = kind(rules)

    def fits(text: str) -> bool:
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
            return bool(validator.is_valid(value))
        except (ValueError, RecursionError):
            return False

    return fits
