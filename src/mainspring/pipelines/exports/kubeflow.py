"""Kubeflow Pipelines: a flow as its intermediate representation, which the backend and `kfp.local` run as it is.

A step is a component whose container calls our own entry point, so nothing is installed when it starts. A map is a
component with one task inside, repeated for each index; each of its tasks is given the list and takes its item. Who
wants all results is given the list of artifacts.

Facts: `PipelineSpec` of kfp-pipeline-spec, schema version 2.1.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from mainspring.pipelines.exports.graph import Graph, Kind, Node, Parameter, used_by
from mainspring.pipelines.exports.kubernetes import object_name, quantities
from mainspring.pipelines.exports.parameters import as_text
from mainspring.pipelines.exports.words import COMMAND, argument_words, constant, how_words, iterated

__all__ = ["pipeline_spec", "platform_spec"]

_ARTIFACT = {"artifactType": {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}}
_TYPES: dict[Kind, str] = {
    "integer": "NUMBER_INTEGER",
    "number": "NUMBER_DOUBLE",
    "boolean": "BOOLEAN",
    "list": "LIST",
    "object": "STRUCT",
}
_FIRED = "{{$.pipeline_job_create_time_utc}}"
_GIGABYTE = 1e9


def pipeline_spec(graph: Graph, *, image: str, store: str = "") -> dict[str, Any]:
    """A `PipelineSpec`: the first document of the file that `kfp run create -f` and the console take."""
    maker = _Maker(graph, image)
    if graph.dynamic:
        maker.add_coordinator(store)
    for node in graph.nodes:
        maker.add(node)
    root: dict[str, Any] = {"dag": {"tasks": maker.tasks}}
    if graph.parameters:
        root["inputDefinitions"] = {"parameters": {each.name: _definition(each) for each in graph.parameters}}
    if graph.result and not graph.node(graph.result).mapped:
        selector = {"outputArtifactKey": "result", "producerSubtask": graph.result}
        root["dag"]["outputs"] = {"artifacts": {"result": {"artifactSelectors": [selector]}}}
        root["outputDefinitions"] = {"artifacts": {"result": _ARTIFACT}}
    spec: dict[str, Any] = {"pipelineInfo": {"name": object_name(graph.flow)}}
    if graph.title:
        spec["pipelineInfo"]["description"] = graph.title
    return spec | {
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.16.1",
        "root": root,
        "components": maker.components,
        "deploymentSpec": {"executors": maker.executors},
    }


def platform_spec(graph: Graph) -> dict[str, Any]:
    """A `PlatformSpec`: the second document of the file, with the secrets; empty when no step has any."""
    executors = {
        f"exec-{node.name}": {
            "secretAsEnv": [
                {"secretName": object_name(name), "keyToEnv": [{"secretKey": "value", "envVar": name}]}
                for name in node.how.secrets
            ]
        }
        for node in graph.nodes
        if node.how.secrets
    }
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}} if executors else {}


class _Maker:
    """The components, executors and tasks of one graph, and where their inputs lie (`words.Places`)."""

    def __init__(self, graph: Graph, image: str) -> None:
        self._graph, self._image = graph, image
        self._iterated = iterated(graph)
        self._node = Node("", "")
        self.components: dict[str, Any] = {}
        self.executors: dict[str, Any] = {}
        self.tasks: dict[str, Any] = {}

    def add(self, node: Node) -> None:
        """Add a step or a map."""
        self._node = node
        parameters, artifacts = self._inputs(node)
        definitions = _inputs_of(
            {name: _definition(each) for name, each in parameters.items()},
            {
                f"{name}-result": _ARTIFACT | ({"isArtifactList": True} if listed else {})
                for name, listed in artifacts.items()
            },
        )
        task = _task(node.name, node, self._given(parameters, artifacts))
        if not node.mapped:
            self._component(node, definitions)
            self.tasks[node.name] = task
            return
        item = f"pipelinechannel--{node.name}-loop-item"  # as kfp's own compiler names it: its local runner knows it
        index = {"parameterType": "NUMBER_INTEGER"}
        inner_inputs = definitions.get("parameters", {}) | {"item-index": index}
        self._component(node, definitions | {"parameters": inner_inputs})
        loop_inputs = definitions.get("parameters", {}) | {item: index}
        indexes, given = self._indexes(node)
        if given:
            loop_inputs[_indexes_name(node)] = {"parameterType": "LIST"}
            task.setdefault("inputs", {}).setdefault("parameters", {})[_indexes_name(node)] = given
        inner = _task(node.name, node, _passed_on(parameters, artifacts, item), inside=True)
        output = f"pipelinechannel--{node.name}-result"
        selector = {"outputArtifactKey": "result", "producerSubtask": node.name}
        self.components[f"comp-for-each-{node.name}"] = {
            "inputDefinitions": definitions | {"parameters": loop_inputs},
            "outputDefinitions": {"artifacts": {output: _ARTIFACT | {"isArtifactList": True}}},
            "dag": {
                "tasks": {node.name: inner},
                "outputs": {"artifacts": {output: {"artifactSelectors": [selector]}}},
            },
        }
        task = {name: each for name, each in task.items() if name not in ("retryPolicy", "cachingOptions")}
        task |= {
            "taskInfo": {"name": node.name},
            "componentRef": {"name": f"comp-for-each-{node.name}"},
            "parameterIterator": {"itemInput": item, "items": indexes},
        }
        self.tasks[node.name] = task

    def add_coordinator(self, store: str) -> None:
        """Add the one task that runs the whole flow."""
        words = ["flow", self._graph.address]
        words += [f"--argument={each.name}={self.parameter(each)}" for each in self._graph.parameters]
        words += ["--key={{$.pipeline_job_uuid}}", f"--fired={_FIRED}", f"--tz={self._graph.tz}"]
        container: dict[str, Any] = {"image": self._image, "command": list(COMMAND), "args": words}
        if store:
            container["env"] = [{"name": "MAINSPRING_URL", "value": store}]
        component: dict[str, Any] = {"executorLabel": "exec-flow"}
        task: dict[str, Any] = {"taskInfo": {"name": "flow"}, "componentRef": {"name": "comp-flow"}}
        if self._graph.parameters:
            parameters = {each.name: _definition(each) for each in self._graph.parameters}
            component["inputDefinitions"] = {"parameters": parameters}
            task["inputs"] = {"parameters": {name: {"componentInputParameter": name} for name in parameters}}
        self.components["comp-flow"] = component
        self.executors["exec-flow"] = {"container": container}
        self.tasks["flow"] = task | {"retryPolicy": {"maxRetryCount": 5}, "cachingOptions": {}}

    def parameter(self, parameter: Parameter) -> str:
        return f"{parameter.kind}:{{{{$.inputs.parameters['{parameter.name}']}}}}"

    def result(self, node: Node) -> str:
        if node.mapped:
            return f"artifacts:{node.name}-result"
        return f"file:{{{{$.inputs.artifacts['{node.name}-result'].path}}}}"

    def item(self, place: int) -> str:
        source = self._node.items[place]
        found = (
            self.result(self._graph.node(source["node"])) if isinstance(source, dict) else f"json:{constant(source)}"
        )
        return f"item:{{{{$.inputs.parameters['item-index']}}}}:{found}"

    def _component(self, node: Node, definitions: dict[str, Any]) -> None:
        outputs: dict[str, Any] = {"artifacts": {"result": _ARTIFACT}}
        if node.name in self._iterated and not node.mapped:
            outputs["parameters"] = {"indexes": {"parameterType": "LIST"}}
        component = {"executorLabel": f"exec-{node.name}", "outputDefinitions": outputs}
        self.components[f"comp-{node.name}"] = component | ({"inputDefinitions": definitions} if definitions else {})
        container: dict[str, Any] = {"image": node.how.image or self._image, "command": list(COMMAND)}
        container["args"] = self._words(node)
        if resources := _resources(node):
            container["resources"] = resources
        self.executors[f"exec-{node.name}"] = {"container": container}

    def _words(self, node: Node) -> list[str]:
        words = ["step", node.step, *argument_words(self._graph, node, self), *how_words(self._graph, node)]
        words.append("--run-id={{$.pipeline_job_uuid}}")
        if node.mapped:
            words.append("--item={{$.inputs.parameters['item-index']}}")
        if any(self._graph.parameter(tag["name"]).fires for tag in used_by(node.arguments, "parameter")):
            words.append(f"--fired={_FIRED}")
        if node.how.timeout:
            words.append(f"--timeout={node.how.timeout:g}")
        if node.code:
            words.append(f"--code={node.code[:24]}")  # so that a change of the code is another component to the cache
        words.append("--executor-input={{$}}")
        words.append("--output={{$.outputs.artifacts['result'].path}}")
        if node.name in self._iterated and not node.mapped:
            words.append("--indexes={{$.outputs.parameters['indexes'].output_file}}")
        return words

    def _inputs(self, node: Node) -> tuple[dict[str, Parameter], dict[str, bool]]:
        """The parameters that a step is given, and the artifacts, with whether each is a list."""
        parameters = {tag["name"]: self._graph.parameter(tag["name"]) for tag in used_by(node.arguments, "parameter")}
        results = used_by([node.arguments, list(node.items)], "result")
        return parameters, {tag["node"]: self._graph.node(tag["node"]).mapped for tag in results}

    def _given(self, parameters: dict[str, Parameter], artifacts: dict[str, bool]) -> dict[str, Any]:
        return _inputs_of(
            {name: {"componentInputParameter": name} for name in parameters},
            {f"{name}-result": {"taskOutputArtifact": self._output(self._graph.node(name))} for name in artifacts},
        )

    def _output(self, node: Node) -> dict[str, str]:
        key = f"pipelinechannel--{node.name}-result" if node.mapped else "result"
        return {"producerTask": node.name, "outputArtifactKey": key}

    def _indexes(self, node: Node) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is repeated over, and the input that brings it when it is not known yet."""
        for each in self._lengths(node):
            if isinstance(each, int):
                return {"raw": msgspec.json.encode(list(range(each))).decode()}, {}
            given = {"producerTask": each, "outputParameterKey": "indexes"}
            return {"inputParameter": _indexes_name(node)}, {"taskOutputParameter": given}
        raise AssertionError(node.name)

    def _lengths(self, node: Node) -> Iterator[int | str]:
        """How many items a map has: a number, or the node that knows."""
        yield from (len(each) for each in node.items if isinstance(each, list))
        for each in node.items:
            source = self._graph.node(each["node"])
            yield from self._lengths(source) if source.mapped else (source.name,)


def _task(name: str, node: Node, inputs: dict[str, Any], *, inside: bool = False) -> dict[str, Any]:
    how = node.how
    task: dict[str, Any] = {"taskInfo": {"name": name}, "componentRef": {"name": f"comp-{name}"}}
    if inputs:
        task["inputs"] = inputs
    if not inside:
        producers = [each["taskOutputArtifact"]["producerTask"] for each in inputs.get("artifacts", {}).values()]
        if needed := list(dict.fromkeys([*node.after, *producers])):
            task["dependentTasks"] = needed
    if how.retries and not how.falls_back:
        backoff = {"backoffDuration": f"{how.delay:g}s", "backoffFactor": 2.0, "backoffMaxDuration": "300s"}
        task["retryPolicy"] = {"maxRetryCount": how.retries, **backoff}
    return task | {"cachingOptions": {"enableCache": True} if how.cache else {}}


def _passed_on(parameters: dict[str, Parameter], artifacts: dict[str, bool], item: str) -> dict[str, Any]:
    passed = {name: {"componentInputParameter": name} for name in parameters}
    return _inputs_of(
        passed | {"item-index": {"componentInputParameter": item}},
        {f"{name}-result": {"componentInputArtifact": f"{name}-result"} for name in artifacts},
    )


def _inputs_of(parameters: dict[str, Any], artifacts: dict[str, Any]) -> dict[str, Any]:
    return {kind: some for kind, some in (("parameters", parameters), ("artifacts", artifacts)) if some}


def _definition(parameter: Parameter) -> dict[str, Any]:
    made: dict[str, Any] = {"parameterType": _TYPES.get(parameter.kind, "STRING")}
    if parameter.fires:
        return made | {"defaultValue": "", "isOptional": True}
    if not parameter.has_default:
        return made
    return made | {
        "defaultValue": parameter.default if parameter.kind in _TYPES else as_text(parameter),
        "isOptional": True,
    }


def _resources(node: Node) -> dict[str, Any]:
    """As kfp writes them: texts for backends since 2.4, numbers for those before."""
    made: dict[str, Any] = {}
    needs = quantities(node.how)
    if "cpu" in needs:
        made |= {"cpuLimit": node.how.cpu, "resourceCpuLimit": needs["cpu"]}
    if "memory" in needs:
        made |= {"memoryLimit": node.how.memory / _GIGABYTE, "resourceMemoryLimit": needs["memory"]}
    if count := needs.get("nvidia.com/gpu"):
        kind = "nvidia.com/gpu"
        made["accelerator"] = {"type": kind, "count": count, "resourceType": kind, "resourceCount": count}
    return made


def _indexes_name(node: Node) -> str:
    return f"pipelinechannel--{node.name}-indexes"
