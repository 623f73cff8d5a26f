"""The OpenAPI 3.1 description of the API, from the same declarations that serve it."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.client.statuses import STATUSES
from mainspring.kernel import errors
from mainspring.kernel.operations import Operation
from mainspring.server.api import all_operations

__all__ = ["openapi"]

_REF = "#/components/schemas/{name}"


def openapi(version: str) -> dict[str, Any]:
    """The whole description as JSON types."""
    operations = [declared for _, declared in all_operations()]
    types = [
        each
        for declared in operations
        for each in (declared.request, declared.result)
        if not (declared.downloads and each is declared.result)
    ]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    found = iter(schemas)
    paths: dict[str, Any] = {}
    for declared in operations:
        request = next(found)
        result = None if declared.downloads else next(found)
        paths[f"/api/v1/{declared.room}/{declared.verb}"] = _path(declared, request, result)
    components["Error"] = _error_schema()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mainspring",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}, {}],
    }


def _path(declared: Operation, request: Any, result: Any) -> dict[str, Any]:
    answer = {"application/octet-stream": {}} if result is None else {"application/json": {"schema": result}}
    described = {
        "operationId": declared.name,
        "summary": declared.summary,
        "tags": [declared.room],
        "x-permission": declared.permission,
        "responses": {"200": {"description": "The answer", "content": answer}, **_failures()},
    }
    if declared.upload:
        parameter = {
            "name": "arguments",
            "in": "query",
            "required": False,
            "content": {"application/json": {"schema": request}},
        }
        body = {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
        return {"post": {**described, "parameters": [parameter], "requestBody": body}}
    body = {"required": True, "content": {"application/json": {"schema": request}}}
    return {"post": {**described, "requestBody": body}}


def _failures() -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for kind, status in STATUSES.items():
        described = answers.setdefault(
            str(status),
            {"description": "", "content": {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}}},
        )
        described["description"] = ", ".join(filter(None, [described["description"], f"{kind.__name__} ({kind.code})"]))
    return answers


def _error_schema() -> dict[str, Any]:
    codes = sorted(
        {
            kind.code
            for kind in vars(errors).values()
            if isinstance(kind, type) and issubclass(kind, errors.MainspringError)
        }
    )
    text = {"type": "string"}
    properties = {
        "code": {"type": "string", "enum": codes},
        "message": text,
        "hint": text,
        "known": {"type": "array", "items": text},
        "details": {"type": "object"},
        "request_id": text,
    }
    error = {"type": "object", "required": ["code", "message"], "properties": properties}
    return {"type": "object", "required": ["error"], "properties": {"error": error}}
