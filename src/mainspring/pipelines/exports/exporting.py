"""Exports of flows: the file of another orchestrator, which runs the same steps without any of our servers."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Literal, get_args

import msgspec
import yaml

from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.decorators import Flow
from mainspring.pipelines.exports import airflow, argo, kubeflow, kubernetes
from mainspring.pipelines.exports.graph import Graph
from mainspring.pipelines.exports.trace import trace

__all__ = ["Exported", "Target", "export"]

Target = Literal["argo", "argo-cron", "kubeflow", "airflow", "cronjob"]

_LARGEST = 1_000_000
"""Bytes of an object that a Kubernetes API server takes, with some room."""


class Exported(msgspec.Struct, frozen=True):
    """What `export` gives."""

    text: str
    """The file."""
    graph: Graph
    """What it was made of."""
    notes: tuple[str, ...]
    """What is not as it is in Mainspring, one sentence each; they stand at the head of the file too."""


def export(
    flow: Flow[..., Any], *, to: Target, image: str, cron: str = "", tz: str = "", store: str = "", share: str = ""
) -> Exported:
    """A flow as a file that another orchestrator runs.

    Each step becomes a container of `image` that runs `python -m mainspring.pipelines.entry step ...`; the image needs
    this package and the modules of the flow, and nothing of ours has to run. A flow whose body decides, repeats or
    computes with what is known only when it runs becomes one container that runs it whole, durably.

    Args:
        flow: A flow at the top of a module.
        to: `argo` (a Workflow), `argo-cron` (a CronWorkflow), `kubeflow` (a pipeline of Kubeflow Pipelines), `airflow`
            (the file of a DAG), `cronjob` (a Kubernetes CronJob, always of one container).
        image: What the containers run; the image of a step goes before it.
        cron: When it starts, instead of its own schedule.
        tz: The zone of the schedule, instead of its own.
        store: URL of the Mainspring server that a flow that is run whole is recorded at.
        share: For Airflow: `CLAIM:/folder`, a PersistentVolumeClaim for results that are too large for XCom.

    Raises:
        InvalidInput: The flow or one of its steps cannot be exported; the error says what to do.
    """
    if to not in get_args(Target):
        raise InvalidInput(f"there is no export to {to!r}", known=get_args(Target))
    if not image.strip():
        raise InvalidInput("an export needs the image of its containers", hint="--image registry/name:tag")
    graph = trace(flow, cron=cron, tz=tz)
    notes = (*_notes(flow, graph, to, store), *graph.notes)
    head = [f"Made by `mainspring flow export {graph.address} --to {to}`; changes belong there.", *notes]
    text = _head(head) + _WRITERS[to](graph, image, store, share)
    if len(text) > _LARGEST:
        raise InvalidInput(
            f"the export has {len(text)} bytes, and Kubernetes takes {_LARGEST}",
            hint="call the step with .map over a list, which is one step however long it is",
        )
    return Exported(text, graph, notes)


def _head(lines: list[str]) -> str:
    return "".join(f"# {' '.join(line.split())}\n" for line in lines)


def _notes(flow: Flow[..., Any], graph: Graph, to: Target, store: str) -> list[str]:
    """What somebody should know who runs the file."""
    notes = []
    whole = bool(graph.dynamic) or to == "cronjob"
    if graph.dynamic:
        notes.append(f"The flow is run whole, in one container, because it has no static graph: {graph.dynamic}.")
    if whole and not store:
        notes.append("What it finished is lost with its container, unless MAINSPRING_URL names a server (--store URL).")
    options = flow.options
    if options.trigger is not None:
        notes.append("What triggers the flow is not exported: only its schedule is.")
    if options.on_failure is not None or options.on_success is not None:
        notes.append("on_failure and on_success are called by Mainspring only.") if not whole else None
    if to == "kubeflow" and graph.crons:
        notes.append(f"Its schedule is no part of a pipeline: create a recurring run with {', '.join(graph.crons)}.")
    if to == "cronjob" and len(graph.crons) > 1:
        notes.append(f"A CronJob has one schedule: {', '.join(graph.crons[1:])} is left out.")
    if whole:
        return notes
    hows = [node.how for node in graph.nodes]
    if to in ("kubeflow", "airflow") and any(how.retries and how.picks_errors for how in hows):
        notes.append("retry_on is not carried over: every error is tried again.")
    if to == "airflow" and any(how.cache for how in hows):
        notes.append("cache is not carried over: Airflow keeps no results.")
    if to in ("argo", "argo-cron") and any(how.cache for how in hows):
        notes.append("Argo caches only steps whose arguments are parameters and constants.")
    if to == "kubeflow" and any(how.cache_ttl for how in hows):
        notes.append("cache_ttl is not carried over: the server decides how long results are reused.")
    if to == "kubeflow" and graph.timeout:
        notes.append("The timeout of the flow is not carried over; those of its steps are.")
    if to != "airflow" and any(how.priority for how in hows):
        notes.append("Priorities of steps are not carried over.")
    return notes


def _yaml(*documents: dict[str, Any]) -> str:
    return yaml.safe_dump_all(
        [each for each in documents if each], sort_keys=False, width=120, allow_unicode=True, default_flow_style=False
    )


def _write_kubeflow(graph: Graph, image: str, store: str, share: str) -> str:
    return _yaml(kubeflow.pipeline_spec(graph, image=image, store=store), kubeflow.platform_spec(graph))


def _write_airflow(graph: Graph, image: str, store: str, share: str) -> str:
    text = airflow.dag_file(graph, image=image, store=store, share=share)
    ast.parse(text)  # what a name or a constant could break is found here, and not by the scheduler
    return text


_WRITERS: dict[str, Callable[[Graph, str, str, str], str]] = {
    "argo": lambda graph, image, store, share: _yaml(argo.workflow(graph, image=image, store=store)),
    "argo-cron": lambda graph, image, store, share: _yaml(argo.cron_workflow(graph, image=image, store=store)),
    "kubeflow": _write_kubeflow,
    "airflow": _write_airflow,
    "cronjob": lambda graph, image, store, share: _yaml(kubernetes.cron_job(graph, image=image, store=store)),
}
