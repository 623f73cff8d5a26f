"""MLflow's limits on names and values, with the sentences that its clients and their tests compare."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Any

from mainspring.protocols.mlflow.failures import invalid, invalid_value, missing_value

__all__ = [
    "BATCH_BYTES",
    "PAGE",
    "check_batch_sizes",
    "check_dataset",
    "check_experiment_name",
    "check_experiment_tag",
    "check_length",
    "check_max_results",
    "check_metric",
    "check_param",
    "check_run_id",
    "check_tag",
    "check_tag_name",
    "offset_of_history",
    "parse_experiment_id",
    "required_field",
    "safe_path",
]

BATCH_BYTES = 1_000_000
"""Keys of a log-batch body, which MLflow counts where it means bytes."""
PAGE = 50_000
"""The most rows of a page of runs or experiments."""

_KEY = 250
_PARAM = 6000
_TAG = 8000
_EXPERIMENT_NAME = 500
_EXPERIMENT_TAG = 20_000
_METRICS, _PARAMS, _ALL = 1000, 100, 1000
_LARGEST_STAMP = 253_402_300_799_999  # the end of the year 9999: what a calendar can hold

_NAME = re.compile(r"^[/\w.\- :]*$")
_RUN_ID = re.compile(r"^[a-zA-Z0-9][\w\-]{0,255}$")
_CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) "
    "and slashes (/)."
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_length(what: str, limit: int, value: str, *, truncate: bool = False) -> str:
    """The value when it is short enough, or cut where MLflow cuts."""
    if len(value) <= limit:
        return value
    if truncate:
        return value[:limit]
    raise invalid(f"'{what}' exceeds the maximum length of {limit} characters")


def check_tag_name(name: str, path: str = "key") -> None:
    """A key of a metric, parameter or tag: its characters, and that it is its own path."""
    if not _NAME.match(name):
        raise invalid(invalid_value(path, name, _CHARACTERS))
    norm = posixpath.normpath(name)
    if norm != name or norm == "." or norm.startswith(("..", "/")):
        reason = (
            "Names may be treated as files in certain cases, and must not resolve to other names"
            f" when treated as such. This name would resolve to {norm!r}"
        )
        raise invalid(invalid_value(path, name, reason))


def check_metric(key: str, value: float, timestamp: int, step: int, path: str = "") -> None:
    """The key and the time of a point."""
    prefix = f"{path}." if path else ""
    check_tag_name(key, f"{prefix}name")
    if not 0 <= timestamp <= _LARGEST_STAMP:
        reason = f"metric '{key}' (value={value}). Timestamp must be a nonnegative long (64-bit integer) "
        raise invalid(invalid_value(f"{prefix}timestamp", timestamp, reason))
    if abs(step) >= 1 << 62:
        reason = f"metric '{key}' (value={value}). Step must be less than 2**62."
        raise invalid(invalid_value(f"{prefix}step", step, reason))
    check_length("Metric name", _KEY, key)


def check_param(key: str, value: str, path: str = "") -> str:
    """The value of a parameter, cut to its limit."""
    check_tag_name(key, f"{path}.key" if path else "key")
    check_length("Param key", _KEY, key)
    return check_length("Param value", _PARAM, value, truncate=True)


def check_tag(key: str, value: str, path: str = "") -> str:
    """The value of a run's tag, cut to its limit."""
    prefix = f"{path}." if path else ""
    check_tag_name(key, f"{prefix}key")
    check_length(f"{prefix}key", _KEY, key)
    return check_length(f"{prefix}value", _TAG, value, truncate=True)


def check_experiment_tag(key: str, value: str) -> None:
    """A tag of an experiment."""
    check_tag_name(key)
    check_length("key", _KEY, key)
    check_length("value", _EXPERIMENT_TAG, value)


def check_experiment_name(name: str) -> None:
    """A name of an experiment."""
    if not name:
        raise invalid(f"Invalid experiment name: '{name}'")
    check_length("name", _EXPERIMENT_NAME, name)


def check_run_id(run_id: str) -> None:
    """The form of a run's id."""
    if not _RUN_ID.match(run_id):
        raise invalid(invalid_value("run_id", run_id))


def parse_experiment_id(text: str) -> int:
    """The number of an experiment; an empty text is the default experiment."""
    try:
        return int(text or "0")
    except ValueError:
        raise invalid(f"Invalid experiment ID '{text}'. Experiment ID must be a valid integer.") from None


def check_max_results(value: int) -> int:
    """The size of a page."""
    if value < 1:
        raise invalid(f"Invalid value {value} for parameter 'max_results' supplied. It must be a positive integer")
    if value > PAGE:
        raise invalid(f"Invalid value {value} for parameter 'max_results' supplied. It must be at most {PAGE}")
    return value


def check_batch_sizes(metrics: int, params: int, tags: int) -> None:
    """How much one log-batch may hold."""
    for what, limit, count in (
        ("metrics", _METRICS, metrics),
        ("params", _PARAMS, params),
        ("tags", _PARAMS, tags),
        ("metrics, params, and tags", _ALL, metrics + params + tags),
    ):
        if count > limit:
            raise invalid(
                f"A batch logging request can contain at most {limit} {what}. Got {count} {what}. Please split up "
                f"{what} across multiple requests and try again."
            )


def check_dataset(dataset: dict[str, Any], tags: Sequence[dict[str, Any]]) -> None:
    """A dataset as an input of a run, with its tags."""
    limits = (("name", 500), ("digest", 36), ("source", 65_535), ("schema", 1_048_575), ("profile", 16_777_215))
    for name, limit in limits:
        check_length(name, limit, dataset.get(name, ""))
    for tag in tags:
        check_length("key", 255, tag.get("key", ""))
        check_length("value", 500, tag.get("value", ""))


def offset_of_history(token: str) -> int:
    """Where a page begins that is counted and not keyed: the token is the number of rows before it."""
    if not token:
        return 0
    if not token.isdigit() or len(token) > 18:
        raise invalid(f"Invalid page token, {token[:100]!r} is not one of this endpoint")
    return int(token)


def safe_path(path: str) -> str:
    """A path inside a folder; raises where it would leave it, however it is encoded."""
    from urllib.parse import unquote

    for _ in range(10):  # encoded again and again, as a hostile client would
        decoded = unquote(path)
        if decoded == path:
            break
        path = decoded
    path = _CONTROL.sub(lambda found: f"%{ord(found.group()):02X}", path)
    absolute = path.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[\\/]", path)
    if "#" in path or "\\" in path or absolute or ".." in path.split("/"):
        raise invalid("Invalid path")
    return path


def required_field(value: Any, path: str) -> None:
    """A field inside of a list that must be there."""
    if value is None or value == "":
        raise AssertionError(missing_value(path))
