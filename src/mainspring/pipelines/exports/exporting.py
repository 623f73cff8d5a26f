"""Exports of flows: the file of another orchestrator, which runs the same steps without any of our servers."""

from __future__ import annotations

import ast
import textwrap
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
    text = _head(head) + _write(graph, to, image=image, store=store, share=share)
    if to != "airflow" and len(text) > _LARGEST:
        raise InvalidInput(
            f"the export has {len(text)} bytes, and Kubernetes takes {_LARGEST}",
            hint="call the step with .map over a list, which is one step however long it is",
        )
    return Exported(text, graph, notes)


def _head(lines: list[str]) -> str:
    width = {"width": 118, "initial_indent": "# ", "subsequent_indent": "#   ", "break_long_words": False}
    return "".join(f"{part}\n" for line in lines for part in textwrap.wrap(" ".join(line.split()), **width))  # type: ignore[arg-type]


def _notes(flow: Flow[..., Any], graph: Graph, to: Target, store: str) -> list[str]:
    """What somebody should know who runs the file."""
    options, crons = flow.options, graph.crons
    whole = bool(graph.dynamic) or to == "cronjob"
    hows = [] if whole else [node.how for node in graph.nodes]
    hooks = options.on_failure is not None or options.on_success is not None
    said = {
        f"The flow is run whole, in one container, because it has no static graph: {graph.dynamic}.": graph.dynamic,
        "What it finished is lost with its container, unless MAINSPRING_URL names a server (--store URL).": whole
        and not store,
        "What triggers the flow is not exported: only its schedule is.": options.trigger is not None,
        "on_failure and on_success are called by Mainspring only.": hooks and not whole,
        f"Its schedule is no part of a pipeline: create a recurring run with {', '.join(crons)}.": crons
        and to == "kubeflow",
        f"A CronJob has one schedule: {', '.join(crons[1:])} is left out.": crons[1:] and to == "cronjob",
        "retry_on is not carried over: every error is tried again.": to in ("kubeflow", "airflow")
        and any(how.retries and how.picks_errors for how in hows),
        "cache is not carried over: Airflow keeps no results.": to == "airflow" and any(how.cache for how in hows),
        "Argo caches only steps whose arguments are parameters and constants.": to.startswith("argo")
        and any(how.cache for how in hows),
        "cache_ttl is not carried over: the server decides how long results are reused.": to == "kubeflow"
        and any(how.cache_ttl for how in hows),
        "The timeout of the flow is not carried over; those of its steps are.": to == "kubeflow" and graph.timeout,
        "Priorities of steps are not carried over.": to != "airflow" and any(how.priority for how in hows),
    }
    return [sentence for sentence, applies in said.items() if applies]


class _Plain(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML ships no types
    """Writes what occurs twice twice: an anchor saves bytes and costs readers."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(*documents: dict[str, Any]) -> str:
    found = [each for each in documents if each]
    text: str = yaml.dump_all(found, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)
    return text


def _write(graph: Graph, to: Target, *, image: str, store: str, share: str) -> str:
    if to == "airflow":
        text = airflow.dag_file(graph, image=image, store=store, share=share)
        ast.parse(text)  # what a name or a constant could break is found here, and not by the scheduler
        return text
    if to == "kubeflow":
        return _yaml(kubeflow.pipeline_spec(graph, image=image, store=store), kubeflow.platform_spec(graph))
    make = {"argo": argo.workflow, "argo-cron": argo.cron_workflow, "cronjob": kubernetes.cron_job}[to]
    return _yaml(make(graph, image=image, store=store))
