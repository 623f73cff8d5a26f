"""What all exports to Kubernetes share, and the plainest of them: a CronJob that runs the whole flow."""

from __future__ import annotations

import math
import re
from typing import Any

from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.exports.graph import Graph, How
from mainspring.pipelines.exports.parameters import as_text
from mainspring.pipelines.exports.words import COMMAND

__all__ = ["CONCURRENCY", "check_scheduled", "container", "cron_job", "environment", "object_name", "quantities"]


CONCURRENCY = {"cancel_other": "Replace", "allow_all": "Allow"}
"""What becomes of a start while a run is not over, by `FlowOptions.overlap`; `Forbid` for all others."""


def cron_job(graph: Graph, *, image: str, store: str = "") -> dict[str, Any]:
    """A `CronJob` that runs the flow durably in one container; what it records lies in the store of `MAINSPRING_URL`.

    Raises:
        InvalidInput: The flow has no schedule, or a parameter without a default.
    """
    check_scheduled(graph)
    words = ["flow", graph.address]
    words += [
        f"--argument={each.name}={each.kind}:{'' if each.fires else as_text(each)}".replace("$(", "$$(")
        for each in graph.parameters
    ]
    words += ["--key=$(JOB)", f"--tz={graph.tz}"]
    job = {"name": "JOB", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-name']"}}}
    flow = {"name": "flow", **container(image, words, env=[job, *environment((), store)])}
    pod = {"restartPolicy": "OnFailure", "containers": [flow]}
    work: dict[str, Any] = {"backoffLimit": 5, "template": {"spec": pod}}
    if graph.timeout:
        work["activeDeadlineSeconds"] = math.ceil(graph.timeout)
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": object_name(graph.flow, longest=52), "annotations": {"mainspring/flow": graph.address}},
        "spec": {
            "schedule": graph.crons[0],
            "timeZone": graph.tz,
            "concurrencyPolicy": CONCURRENCY.get(graph.overlap, "Forbid"),
            "startingDeadlineSeconds": 3_600,  # of a cron of every minute no more than 100 starts may have been missed
            "jobTemplate": {"spec": work},
        },
    }


def check_scheduled(graph: Graph) -> None:
    """Refuse a flow that nothing starts, or that cannot start without somebody who gives it arguments."""
    if not graph.crons:
        raise InvalidInput(f"the flow {graph.flow} has no schedule", hint='@ms.flow(schedule="15 2 * * *"), or --cron')
    if lacking := [each.name for each in graph.parameters if not each.has_default]:
        raise InvalidInput(
            f"the flow {graph.flow} cannot start by itself: {', '.join(lacking)} has no default",
            hint="give every parameter a default",
        )


def container(
    image: str, words: list[str], *, how: How | None = None, env: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """A container that runs `mainspring.pipelines.entry`."""
    made: dict[str, Any] = {"image": image, "command": list(COMMAND), "args": words}
    if env:
        made["env"] = env
    if how is not None and (needs := quantities(how)):
        made["resources"] = {"requests": needs, "limits": {name: each for name, each in needs.items() if name != "cpu"}}
        if not made["resources"]["limits"]:
            del made["resources"]["limits"]
    return made


def quantities(how: How) -> dict[str, str]:
    """What a step needs, in the quantities of Kubernetes."""
    if how.gpu != int(how.gpu):
        raise InvalidInput(
            f"gpu={how.gpu:g}: Kubernetes gives graphics processors whole",
            hint="step.using(gpu=1) in the flow that is exported",
        )
    needs = {"cpu": f"{how.cpu:g}" if how.cpu else "", "memory": str(how.memory) if how.memory else ""}
    needs["nvidia.com/gpu"] = str(int(how.gpu)) if how.gpu else ""
    return {name: each for name, each in needs.items() if each}


def environment(secrets: tuple[str, ...], store: str = "") -> list[dict[str, Any]]:
    """The variables of a container: secrets, each the key `value` of a Secret that is named after it, and the store."""
    found: list[dict[str, Any]] = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": object_name(name), "key": "value"}}} for name in secrets
    ]
    return [*found, {"name": "MAINSPRING_URL", "value": store}] if store else found


def object_name(name: str, *, longest: int = 57) -> str:
    """A name as Kubernetes takes it for an object; the default leaves room for five digits that are added."""
    made = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:longest].strip("-")
    return made or "flow"
