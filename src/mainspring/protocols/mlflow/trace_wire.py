"""Traces and assessments as JSON: times, durations and states, as Protocol Buffers write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from mainspring.client.client import Client
from mainspring.kernel.clock import now
from mainspring.protocols.mlflow.experiments import artifact_root, outer_id
from mainspring.protocols.mlflow.failures import invalid
from mainspring.tracking.traces import Assessment, Trace

__all__ = ["describe_assessment", "describe_trace", "read_duration", "read_moment", "said", "write_moment"]

_DURATION = re.compile(r"(-?\d+)(?:\.(\d{1,9}))?s")
_STATES = {"ok": "OK", "error": "ERROR", "in_progress": "IN_PROGRESS", "unspecified": "STATE_UNSPECIFIED"}


def read_moment(value: Any) -> datetime:
    """A moment in RFC 3339.

    Example:
        >>> read_moment("1970-01-01T00:20:34.567Z").timestamp()
        1234.567
    """
    if not value:
        return now()
    try:
        text = re.sub(r"(\.\d{6})\d+", r"\1", str(value)).replace("Z", "+00:00")
        found = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"Invalid timestamp: {value!r}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def write_moment(moment: datetime) -> str:
    """A moment in RFC 3339, in milliseconds."""
    plain = moment.astimezone(UTC)
    millis = plain.microsecond // 1000
    return plain.strftime("%Y-%m-%dT%H:%M:%S") + (f".{millis:03d}Z" if millis else "Z")


def read_duration(value: Any) -> int | None:
    """A duration in milliseconds.

    Example:
        >>> read_duration("0.055s"), read_duration("2s"), read_duration(None)
        (55, 2000, None)
    """
    if value is None or value == "":
        return None
    match = _DURATION.fullmatch(str(value))
    if match is None:
        raise invalid(f"Invalid duration: {value!r}")
    whole = timedelta(seconds=int(match[1]), microseconds=int((match[2] or "0").ljust(6, "0")[:6]))
    return whole // timedelta(milliseconds=1)


def describe_trace(client: Client, trace: Trace) -> dict[str, Any]:
    """A trace's info."""
    row = trace.trace
    experiment = client.tracking.experiment(id=row.experiment_id)
    identity = outer_id(client, row.experiment_id)
    found: dict[str, Any] = {"trace_id": row.id}
    if row.client_request_id:
        found["client_request_id"] = row.client_request_id
    found["trace_location"] = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": identity}}
    if row.request:
        found["request_preview"] = row.request
    if row.response:
        found["response_preview"] = row.response
    found["request_time"] = write_moment(row.started_at)
    if row.duration is not None:
        found["execution_duration"] = _seconds(row.duration)
    location = f"{artifact_root(identity, experiment.location)}/traces/{row.id}/artifacts"
    found |= {
        "state": _STATES[row.state],
        "trace_metadata": trace.metadata,
        "tags": {**trace.tags, "mlflow.artifactLocation": location},
    }
    if trace.assessments:
        found["assessments"] = [describe_assessment(each) for each in trace.assessments]
    return found


def describe_assessment(assessment: Assessment) -> dict[str, Any]:
    """An assessment: what the client said, with its id and times."""
    return {
        **assessment.body,
        "assessment_id": assessment.id,
        "assessment_name": assessment.name,
        "trace_id": assessment.trace_id,
        "create_time": assessment.body.get("create_time") or write_moment(assessment.created_at),
        "last_update_time": write_moment(assessment.updated_at),
    }


def said(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name of an assessment that a client sent, and what of it is kept."""
    name = str(given.get("assessment_name") or "")
    if not name:
        raise invalid("Missing value for required parameter 'assessment.assessment_name'.")
    kept = {key: value for key, value in given.items() if key not in ("assessment_id", "trace_id", "last_update_time")}
    kept.setdefault("create_time", write_moment(read_moment(None)))
    return name, kept


def _seconds(millis: int) -> str:
    whole, rest = divmod(millis, 1000)
    return f"{whole}.{rest:03d}s" if rest else f"{whole}s"
