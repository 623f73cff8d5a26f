"""Argo Workflows: a flow as a Workflow, or with a schedule as a CronWorkflow.

A step is a template and a container; its result is an artifact. Argo gives a step all results of a fan-out only when
they are parameters, which are small. So what the items of a map make lies under one key of the artifact repository,
`<workflow uid>/<step>/<item>`, and who wants them all is given that folder.

Facts: the API of Argo Workflows 4.0 (`argoproj.io/v1alpha1`), and its example of a map and reduce by keys.
"""

from __future__ import annotations

import math
from typing import Any

from mainspring.kernel.hashing import digest_value
from mainspring.pipelines.exports.graph import Graph, Node, Parameter, used_by
from mainspring.pipelines.exports.kubernetes import CONCURRENCY, check_scheduled, container, environment, object_name
from mainspring.pipelines.exports.parameters import as_text
from mainspring.pipelines.exports.words import argument_words, constant, how_words, iterated

__all__ = ["cron_workflow", "workflow"]

_API = "argoproj.io/v1alpha1"
_IN, _OUT = "/tmp/mainspring/in", "/tmp/mainspring/out"  # noqa: S108 -- a folder of the container's own
_UID = "{{workflow.uid}}"


def workflow(graph: Graph, *, image: str, store: str = "") -> dict[str, Any]:
    """A `Workflow`: `kubectl create -f`, or `argo submit`."""
    return {
        "apiVersion": _API,
        "kind": "Workflow",
        "metadata": {"generateName": f"{object_name(graph.flow)}-", **_about(graph)},
        "spec": _spec(graph, image, store, fired="{{workflow.creationTimestamp.RFC3339}}"),
    }


def cron_workflow(graph: Graph, *, image: str, store: str = "") -> dict[str, Any]:
    """A `CronWorkflow`: `kubectl apply -f`.

    Raises:
        InvalidInput: The flow has no schedule, or a parameter without a default.
    """
    check_scheduled(graph)
    return {
        "apiVersion": _API,
        "kind": "CronWorkflow",
        "metadata": {"name": object_name(graph.flow), **_about(graph)},
        "spec": {
            "schedules": list(graph.crons),
            "timezone": graph.tz,
            "concurrencyPolicy": CONCURRENCY.get(graph.overlap, "Forbid"),
            "startingDeadlineSeconds": 86_400,
            "workflowSpec": _spec(graph, image, store, fired="{{workflow.scheduledTime}}"),
        },
    }


def _spec(graph: Graph, image: str, store: str, *, fired: str) -> dict[str, Any]:
    entry = object_name(graph.flow)
    if any(each.name == entry for each in graph.nodes):
        entry = f"{entry}-flow"
    maker = _Maker(graph, image, fired)
    spec: dict[str, Any] = {"entrypoint": entry}
    if graph.parameters:
        spec["arguments"] = {"parameters": [_argument(each) for each in graph.parameters]}
    if graph.timeout:
        spec["activeDeadlineSeconds"] = math.ceil(graph.timeout)
    spec["templates"] = [maker.coordinator(entry, store)] if graph.dynamic else maker.templates(entry)
    return spec


class _Maker:
    """The templates of one graph. It says where inputs lie (`words.Places`) for the node that it is at."""

    def __init__(self, graph: Graph, image: str, fired: str) -> None:
        self._graph, self._image, self._fired = graph, image, fired
        self._iterated = iterated(graph)
        self._node = Node("", "")

    def templates(self, entry: str) -> list[dict[str, Any]]:
        dag: dict[str, Any] = {"name": entry, "dag": {"tasks": [self._task(each) for each in self._graph.nodes]}}
        result = self._graph.result
        if result and not self._graph.node(result).mapped:
            from_task = f"{{{{tasks.{result}.outputs.artifacts.result}}}}"
            dag["outputs"] = {"artifacts": [{"name": "result", "from": from_task}]}
        return [dag, *(self._template(each) for each in self._graph.nodes)]

    def coordinator(self, entry: str, store: str) -> dict[str, Any]:
        words = ["flow", self._graph.address]
        words += [f"--argument={each.name}={self.parameter(each)}" for each in self._graph.parameters]
        words += [f"--key={_UID}", f"--fired={self._fired}", f"--tz={self._graph.tz}"]
        return {
            "name": entry,
            "retryStrategy": {"limit": 5, "retryPolicy": "OnError"},
            "container": container(self._image, words, env=environment((), store)),
        }

    def parameter(self, parameter: Parameter) -> str:
        return f"{parameter.kind}:{{{{workflow.parameters.{parameter.name}}}}}"

    def result(self, node: Node) -> str:
        if node.mapped:
            return f"files:{{{{inputs.parameters.{node.name}-count}}}}:{_IN}/{node.name}"
        return f"file:{_IN}/{node.name}"

    def item(self, place: int) -> str:
        source = self._node.items[place]
        if isinstance(source, dict):
            return f"file:{_IN}/item-{place}"
        if all(isinstance(each, list) for each in self._node.items):
            return f"json:{{{{inputs.parameters.{_item_name(self._node, place)}}}}}"
        return f"item:{{{{inputs.parameters.index}}}}:json:{constant(source)}"

    def _task(self, node: Node) -> dict[str, Any]:
        task: dict[str, Any] = {"name": node.name, "template": node.name}
        if node.after:
            task["depends"] = " && ".join(node.after)
        parameters = [{"name": name, "value": value} for name, value in self._passed(node).items()]
        artifacts: list[dict[str, Any]] = [
            {"name": each.name, "from": f"{{{{tasks.{each.name}.outputs.artifacts.result}}}}"}
            for each in self._results(node)
            if not each.mapped
        ]
        artifacts += [{"name": name, "s3": {"key": key}} for name, key in self._items(node).items()]
        passed = {"parameters": parameters, "artifacts": artifacts}
        if given := {kind: some for kind, some in passed.items() if some}:
            task["arguments"] = given
        return task | (self._fan_out(node) if node.mapped else {})

    def _passed(self, node: Node) -> dict[str, str]:
        """The parameters that a task is given: how many items there are of what, and which is its own."""
        passed = {f"{each.name}-count": self._count(each) for each in self._results(node) if each.mapped}
        if not node.mapped:
            return passed
        if all(isinstance(each, list) for each in node.items):
            names = ["index", *(_item_name(node, place) for place in range(len(node.items)))]
            return passed | {name: f"{{{{item.{name}}}}}" for name in names}
        lengths = [str(len(each)) if isinstance(each, list) else self._count(self._source(each)) for each in node.items]
        passed["index"] = "{{item}}"
        return passed | ({"lengths": ",".join(lengths)} if len(set(lengths)) > 1 else {})

    def _fan_out(self, node: Node) -> dict[str, Any]:
        if all(isinstance(each, list) for each in node.items):
            rows = zip(*node.items, strict=True)
            names = [_item_name(node, place) for place in range(len(node.items))]
            return {
                "withItems": [
                    {"index": str(number), **{name: constant(each) for name, each in zip(names, row, strict=True)}}
                    for number, row in enumerate(rows)
                ]
            }
        source = next(each for each in node.items if isinstance(each, dict))
        return {"withSequence": {"count": self._count(self._source(source))}}

    def _template(self, node: Node) -> dict[str, Any]:
        self._node = node
        how = node.how
        template: dict[str, Any] = {"name": node.name}
        inputs: dict[str, Any] = {
            "parameters": [{"name": name} for name in self._passed(node)],
            "artifacts": [
                *(self._input(each) for each in self._results(node)),
                *({"name": name, "path": f"{_IN}/{name}"} for name in self._items(node)),
            ],
        }
        if inputs := {kind: some for kind, some in inputs.items() if some}:
            template["inputs"] = inputs
        template["outputs"] = self._outputs(node)
        if how.retries and not how.falls_back:
            template["retryStrategy"] = _retries(node)
        if how.timeout:
            template["activeDeadlineSeconds"] = math.ceil(how.timeout)
        if how.cache:
            template |= self._memoized(node)
        template["container"] = container(
            how.image or self._image, self._words(node), how=how, env=environment(how.secrets)
        )
        return template

    def _words(self, node: Node) -> list[str]:
        words = ["step", node.step, *argument_words(self._graph, node, self), *how_words(self._graph, node)]
        words.append(f"--run-id={_UID}")
        if node.mapped:
            words.append("--item={{inputs.parameters.index}}")
        if "lengths" in self._passed(node):
            words.append("--lengths={{inputs.parameters.lengths}}")
        if any(self._graph.parameter(tag["name"]).fires for tag in used_by(node.arguments, "parameter")):
            words.append(f"--fired={self._fired}")
        if node.how.retries and not node.how.falls_back:
            words.append("--tried={{retries}}")
        words.append(f"--output={_OUT}/result")
        if node.name in self._iterated and not node.mapped:
            words += [f"--parts={_OUT}/parts", f"--count={_OUT}/count"]
        return words

    def _outputs(self, node: Node) -> dict[str, Any]:
        result: dict[str, Any] = {"name": "result", "path": f"{_OUT}/result", "archive": {"none": {}}}
        if node.mapped:
            result["s3"] = {"key": f"{_UID}/{node.name}/{{{{inputs.parameters.index}}}}"}
        outputs: dict[str, Any] = {"artifacts": [result]}
        if node.name in self._iterated and not node.mapped:
            parts = {"name": "parts", "path": f"{_OUT}/parts", "archive": {"none": {}}, "optional": True}
            outputs["artifacts"].append(parts | {"s3": {"key": f"{_UID}/{node.name}"}})
            outputs["parameters"] = [{"name": "count", "valueFrom": {"path": f"{_OUT}/count"}}]
        return outputs

    def _input(self, node: Node) -> dict[str, Any]:
        made: dict[str, Any] = {"name": node.name, "path": f"{_IN}/{node.name}"}
        return made | ({"optional": True, "s3": {"key": f"{_UID}/{node.name}"}} if node.mapped else {})

    def _items(self, node: Node) -> dict[str, str]:
        """The inputs that bring items made by other nodes, and the keys under which these lie."""
        sources = {place: each["node"] for place, each in enumerate(node.items) if isinstance(each, dict)}
        return {f"item-{place}": f"{_UID}/{name}/{{{{item}}}}" for place, name in sources.items()}

    def _results(self, node: Node) -> list[Node]:
        names = dict.fromkeys(tag["node"] for tag in used_by(node.arguments, "result"))
        return [self._graph.node(name) for name in names]

    def _source(self, tag: dict[str, Any]) -> Node:
        return self._graph.node(tag["node"])

    def _count(self, node: Node) -> str:
        """How many items a node makes."""
        if not node.mapped:
            return f"{{{{tasks.{node.name}.outputs.parameters.count}}}}"
        known = [len(each) for each in node.items if isinstance(each, list)]
        return str(known[0]) if known else self._count(self._source(node.items[0]))

    def _memoized(self, node: Node) -> dict[str, Any]:
        """Argo finds results by a text, so only steps are cached whose inputs are texts: constants and parameters."""
        if node.mapped or self._results(node) or node.name in self._iterated:
            return {}
        words = self._words(node)
        texts = sorted({tag["name"] for tag in used_by(node.arguments, "parameter")})
        if any(word.startswith("--fired") for word in words):
            return {}
        key = f"{node.name}-{node.code[:24]}-{digest_value('argo-memo', node.arguments)[:16]}"
        if texts:  # each is digested by itself, so that no two lists of texts are joined to one
            joined = " + ".join(f"sprig.sha256sum(workflow.parameters['{name}'])" for name in texts)
            key += f"-{{{{=sprig.sha256sum({joined})}}}}"
        age = f"{math.ceil(node.how.cache_ttl)}s" if node.how.cache_ttl else "8760h"
        cache = {"configMap": {"name": f"{object_name(self._graph.flow)}-cache"}}
        return {"memoize": {"key": key, "maxAge": age, "cache": cache}}


def _retries(node: Node) -> dict[str, Any]:
    how = node.how
    made: dict[str, Any] = {"limit": how.retries, "retryPolicy": "Always"}
    if how.picks_errors:
        made["expression"] = "asInt(lastRetry.exitCode) != 42"
    return made | {"backoff": {"duration": f"{how.delay:g}s", "factor": 2, "cap": "5m"}}


def _argument(parameter: Parameter) -> dict[str, Any]:
    made: dict[str, Any] = {"name": parameter.name}
    return made | ({"value": "" if parameter.fires else as_text(parameter)} if parameter.has_default else {})


def _about(graph: Graph) -> dict[str, Any]:
    about = {"mainspring/flow": graph.address} | ({"mainspring/dynamic": graph.dynamic} if graph.dynamic else {})
    if graph.title:
        about["workflows.argoproj.io/description"] = graph.title
    return {"annotations": about}


def _item_name(node: Node, place: int) -> str:
    """The argument that the items of an iterable are given as."""
    name = next((name for name, tree in node.arguments.items() if tree == {"$": "item", "of": place}), "")
    return name if name and name not in ("index", "lengths") else f"item-{place}"
