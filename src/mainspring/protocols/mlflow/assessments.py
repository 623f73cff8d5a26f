"""Assessments: what people, judges and tests said of a trace; said again, taken back, overridden."""

from __future__ import annotations

import re
from typing import Any

from mainspring.protocols.mlflow.failures import missing
from mainspring.protocols.mlflow.trace_wire import describe_assessment, said
from mainspring.protocols.mlflow.traces import find_trace, raw_body
from mainspring.protocols.mlflow.wire import Call, Endpoint

__all__ = ["ENDPOINTS"]


def _assess(call: Call) -> dict[str, Any]:
    held = find_trace(call, call.path["trace_id"])
    name, body = said(raw_body(call).get("assessment", {}))
    body.setdefault("valid", True)
    made = call.client.tracking.assess(held.id, name, body)
    if overridden := body.get("overrides"):
        before = next((each for each in held.assessments if each.id == overridden), None)
        if before is None:
            raise missing(f"Assessment with ID '{overridden}' not found for trace '{held.id}'")
        call.client.tracking.assess(held.id, before.name, {**before.body, "valid": False}, assessment_id=before.id)
    return {"assessment": describe_assessment(made)}


def _get_assessment(call: Call) -> dict[str, Any]:
    held = find_trace(call, call.path["trace_id"])
    wanted = call.path["assessment_id"]
    found = next((each for each in held.assessments if each.id == wanted), None)
    if found is None:
        raise missing(f"Assessment with ID '{wanted}' not found for trace '{held.id}'")
    return {"assessment": describe_assessment(found)}


def _reassess(call: Call) -> dict[str, Any]:
    before = _get_assessment(call)["assessment"]
    raw = raw_body(call)
    mask = raw.get("update_mask", "")
    paths = mask.split(",") if isinstance(mask, str) else mask.get("paths", [])
    given = raw.get("assessment", {})
    names = {re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), each.strip()) for each in paths}
    changes = {key: value for key, value in given.items() if key in names}
    name, body = said({**before, **changes})
    made = call.client.tracking.assess(call.path["trace_id"], name, body, assessment_id=before["assessment_id"])
    return {"assessment": describe_assessment(made)}


def _unsay(call: Call) -> dict[str, Any]:
    _get_assessment(call)
    call.client.tracking.unsay(call.path["trace_id"], call.path["assessment_id"])
    return {}


_ALL = "mlflow/traces/{trace_id}/assessments"
_ONE = f"{_ALL}/{{assessment_id}}"

ENDPOINTS = (
    Endpoint("POST", _ALL, _assess, version=3),
    Endpoint("GET", _ONE, _get_assessment, version=3),
    Endpoint("PATCH", _ONE, _reassess, version=3),
    Endpoint("DELETE", _ONE, _unsay, version=3),
)
