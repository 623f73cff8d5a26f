"""The Kubernetes Job of one piece of work, as a plain manifest."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from mainspring.engines.tasks import Limits
from mainspring.engines.tasks_pod import ANSWER, ORDER, Order

__all__ = ["ENGINE", "OWNER", "Place", "job"]

ENGINE = "mainspring.dev/engine"
OWNER = "mainspring.dev/owner"
_LOG = "/dev/termination-log"
_START_SECONDS = 1800
"""How long a pod may take to get a machine and its image, beside the time that the work may take."""
_KEPT_SECONDS = 600
_OVERHEAD = 256 << 20
"""Bytes of memory that the supervisor needs beside the work."""


class Place(msgspec.Struct, frozen=True):
    """Where pods run, and as what."""

    namespace: str
    image: str
    service_account: str = ""
    token_secret: str = ""
    """Name of a Secret whose key `token` lets pods reach the store."""
    pod: dict[str, Any] = {}
    """A pod's `spec` in Kubernetes' form, merged over what is made here: node selectors, tolerations, volumes."""


def job(name: str, place: Place, order: Order, *, engine: str, owner: str = "") -> dict[str, Any]:
    """The manifest.

    It is tried once: what may be repeated, the flow knows. It ends with its time, and goes away some time after that.
    """
    limits = order.limits
    labels = {"app.kubernetes.io/managed-by": "mainspring", ENGINE: engine} | ({OWNER: owner} if owner else {})
    notes = {"mainspring.dev/work": order.address} | ({"mainspring.dev/label": limits.label} if limits.label else {})
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "containers": [_container(place, order)],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "enableServiceLinks": False,
    }
    if place.service_account:
        spec["serviceAccountName"] = place.service_account
    deadline = {"activeDeadlineSeconds": math.ceil(limits.timeout) + _START_SECONDS} if limits.timeout else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": place.namespace, "labels": labels, "annotations": notes},
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            **deadline,
            "template": {"metadata": {"labels": labels, "annotations": notes}, "spec": _merged(spec, place.pod)},
        },
    }


def _container(place: Place, order: Order) -> dict[str, Any]:
    variables: list[dict[str, Any]] = [
        {"name": ORDER, "value": msgspec.json.encode(order).decode()},
        {"name": ANSWER, "value": _LOG},
    ]
    if place.token_secret:
        reference = {"name": place.token_secret, "key": "token"}
        variables.append({"name": "MAINSPRING_TOKEN", "valueFrom": {"secretKeyRef": reference}})
    return {
        "name": "work",
        "image": order.limits.image or place.image,
        "command": ["python", "-m", "mainspring.engines.tasks_pod"],
        "env": variables,
        "resources": _resources(order.limits),
        "terminationMessagePath": _LOG,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _resources(limits: Limits) -> dict[str, Any]:
    requests: dict[str, str] = {"cpu": f"{round((limits.cpu or 1.0) * 1000)}m"}
    most: dict[str, str] = {}
    if limits.memory:
        requests["memory"] = most["memory"] = str(limits.memory + _OVERHEAD)
    if limits.gpu:
        requests["nvidia.com/gpu"] = most["nvidia.com/gpu"] = str(math.ceil(limits.gpu))
    return {"requests": requests} | ({"limits": most} if most else {})


def _merged(below: Any, above: Any) -> Any:
    """Objects are merged; lists of named things by their names; anything else is replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: _merged(below[key], value) if key in below else value for key, value in above.items()}
    named = isinstance(below, list) and isinstance(above, list)
    if named and all(isinstance(each, dict) and "name" in each for each in [*below, *above]):
        both = {each["name"]: each for each in below}
        for each in above:
            both[each["name"]] = _merged(both.get(each["name"], {}), each)
        return list(both.values())
    return above
