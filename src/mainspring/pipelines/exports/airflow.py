"""Airflow 3: a flow as the file of a DAG, of KubernetesPodOperators, which imports nothing of ours.

Results travel through XCom as JSON. That holds small values; with a folder that all containers mount, results are
files there, and XCom names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.exports.graph import Graph, Node, Parameter, used_by
from mainspring.pipelines.exports.kubernetes import object_name, quantities
from mainspring.pipelines.exports.words import COMMAND, argument_words, constant, how_words

__all__ = ["dag_file"]

_XCOM = "/airflow/xcom/return.json"
_FIRED = "{{ dag_run.logical_date or dag_run.run_after }}"
_SCHEMA = {"integer": "integer", "number": "number", "boolean": "boolean", "list": "array", "object": "object"}


def dag_file(graph: Graph, *, image: str, store: str = "", share: str = "") -> str:
    """The text of a DAG file.

    Args:
        graph: The flow.
        image: What containers run.
        store: URL of the server that a flow without a static graph is recorded at.
        share: `CLAIM:/folder`, a PersistentVolumeClaim and where it is mounted, for results that XCom cannot hold.
    """
    return "\n".join(_Writer(graph, image, store, share).lines()) + "\n"


class _Writer:
    """Writes one DAG, and says where the inputs of steps lie (`words.Places`)."""

    def __init__(self, graph: Graph, image: str, store: str, share: str) -> None:
        self._graph, self._image, self._store = graph, image, store
        self._claim, _, self._folder = share.partition(":")
        if share and not (self._claim and self._folder.startswith("/")):
            raise InvalidInput(f"share={share!r} is no claim and folder", hint="--share CLAIM:/mnt/share")
        self._node = Node("", "")

    def lines(self) -> Iterator[str]:
        graph = self._graph
        yield from self._head()
        yield ""
        yield "with DAG("
        yield f"    dag_id={_dag_id(graph.flow)!r},"
        if graph.title:
            yield f"    description={graph.title!r},"
        yield f"    schedule={self._schedule()},"
        yield f'    start_date=pendulum.datetime(2026, 1, 1, tz="{graph.tz}"),'
        yield "    catchup=False,"
        if graph.overlap != "allow_all":
            yield "    max_active_runs=1,"
        if graph.timeout:
            yield f"    dagrun_timeout=timedelta(seconds={graph.timeout:g}),"
        if graph.parameters:
            yield "    params={"
            yield from (f"        {each.name!r}: {self._param(each)}," for each in graph.parameters)
            yield "    },"
        yield "):"
        if graph.dynamic:
            yield from self._coordinator()
        for node in graph.nodes:
            yield from self._task(node)
        for node in graph.nodes:
            if node.after:
                before = ", ".join(_name(each) for each in node.after)
                yield f"    {f'[{before}]' if len(node.after) > 1 else before} >> {_name(node.name)}"

    def parameter(self, parameter: Parameter) -> str:
        plain = parameter.kind in ("text", "date", "datetime", "json") or parameter.fires
        return f"{parameter.kind}:{{{{ params.{parameter.name}{'' if plain else ' | tojson'} }}}}"

    def result(self, node: Node) -> str:
        pulled = f"['{node.name}']" if node.mapped else f"'{node.name}'"
        return f"json:{{{{ ti.xcom_pull(task_ids={pulled}) | tojson }}}}"

    def item(self, place: int) -> str:
        source = self._node.items[place]
        found = self.result(self._graph.node(source["node"])) if isinstance(source, dict) else f"json:{constant(source)}"
        return f"item:{{{{ ti.map_index }}}}:{found}"

    def _head(self) -> Iterator[str]:
        graph = self._graph
        needs = [node.how for node in graph.nodes]
        if any(any(quantities(how)) or how.secrets for how in needs) or self._claim or (graph.dynamic and self._store):
            kubernetes = ["from kubernetes.client import models as k8s"]
        else:
            kubernetes = []
        timed = graph.timeout or any(how.timeout or (how.retries and not how.falls_back) for how in needs)
        yield "from __future__ import annotations"
        yield ""
        if any(self._single(node) for node in graph.nodes):
            yield "import json"
        if timed:
            yield "from datetime import timedelta"
        if timed or any(self._single(node) for node in graph.nodes):
            yield ""
        yield "import pendulum"
        yield "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator"
        names = ["DAG", *(["Param"] if graph.parameters else []), *([self._timetable()] if graph.crons else [])]
        yield f"from airflow.sdk import {', '.join(sorted(names, key=str.lower))}"
        yield from kubernetes
        yield ""
        yield f"IMAGE = {self._image!r}"
        yield f"ENTRY = {COMMAND!r}"
        if self._claim:
            yield "SHARE = {"
            yield '    "volumes": ['
            yield "        k8s.V1Volume("
            yield '            name="share",'
            yield (
                "            persistent_volume_claim=k8s.V1PersistentVolumeClaimVolumeSource("
                f"claim_name={self._claim!r}),"
            )
            yield "        )"
            yield "    ],"
            yield f'    "volume_mounts": [k8s.V1VolumeMount(name="share", mount_path={self._folder!r})],'
            yield "}"
        yield ""

    def _timetable(self) -> str:
        return "CronTriggerTimetable" if len(self._graph.crons) == 1 else "MultipleCronTriggerTimetable"

    def _schedule(self) -> str:
        if not self._graph.crons:
            return "None"
        return f"{self._timetable()}({', '.join(map(repr, self._graph.crons))}, timezone={self._graph.tz!r})"

    def _param(self, parameter: Parameter) -> str:
        kind = _SCHEMA.get(parameter.kind, "string")
        if parameter.fires:
            return f"Param('', type={kind!r}, description='empty: the day that the run is for')"
        if not parameter.has_default:
            if self._graph.crons:
                raise InvalidInput(
                    f"the flow {self._graph.flow} cannot start by itself: {parameter.name} has no default",
                    hint="give every parameter a default",
                )
            return f"Param(type={kind!r})"
        from mainspring.pipelines.exports.parameters import as_text

        default = parameter.default if parameter.kind in _SCHEMA else as_text(parameter)
        shape = ", format='date'" if parameter.kind == "date" else ""
        return f"Param({default!r}, type={kind!r}{shape})"

    def _coordinator(self) -> Iterator[str]:
        words = ["flow", self._graph.address]
        words += [f"--argument={each.name}={self.parameter(each)}" for each in self._graph.parameters]
        words += ["--key={{ run_id }}", f"--fired={_FIRED}", f"--tz={self._graph.tz}"]
        yield "    KubernetesPodOperator("
        yield "        task_id='flow',"
        yield f"        name={object_name(self._graph.flow)!r},"
        yield "        image=IMAGE,"
        yield "        cmds=ENTRY,"
        yield from _list("arguments", words)
        yield "        retries=5,"
        if self._store:
            yield f"        env_vars=[k8s.V1EnvVar(name='MAINSPRING_URL', value={self._store!r})],"
        yield "    )"

    def _task(self, node: Node) -> Iterator[str]:
        self._node = node
        own = self._single(node) if node.mapped else ""
        words = ["step", node.step, *argument_words(self._graph, node, self), *how_words(self._graph, node)]
        words = [word for word in words if not own or not word.startswith(f"--argument={own}=")]
        words.append("--run-id={{ run_id }}")
        if node.mapped:
            words.append("--item={{ ti.map_index }}")
        if any(self._graph.parameter(tag["name"]).fires for tag in used_by(node.arguments, "parameter")):
            words.append(f"--fired={_FIRED}")
        if node.how.retries and not node.how.falls_back:
            words.append("--tried={{ ti.try_number - 1 }}")
        words.append(f"--xcom={_XCOM}")
        if self._claim:
            place = "/{{ ti.map_index }}" if node.mapped else ""
            words.append(f"--share={self._folder}/{{{{ run_id }}}}/{node.name}{place}")
        yield f"    {_name(node.name)} = KubernetesPodOperator{'.partial' if node.mapped else ''}("
        yield f"        task_id={node.name!r},"
        yield f"        name={node.name!r},"
        yield f"        image={'IMAGE' if not node.how.image else repr(node.how.image)},"
        if node.mapped:  # what is mapped is not a template, so the words that are stand in the command
            yield from _list("cmds", words, first="*ENTRY")
        else:
            yield "        cmds=ENTRY,"
            yield from _list("arguments", words)
        yield from self._options(node)
        yield f"    ){self._expanded(node, own)}"

    def _options(self, node: Node) -> Iterator[str]:
        how = node.how
        yield "        do_xcom_push=True,"
        if how.retries and not how.falls_back:
            yield f"        retries={how.retries},"
            yield f"        retry_delay=timedelta(seconds={how.delay:g}),"
            yield "        retry_exponential_backoff=2,"
            yield "        max_retry_delay=timedelta(minutes=5),"
        if how.timeout:
            yield f"        execution_timeout=timedelta(seconds={how.timeout:g}),"
        if how.priority:
            yield f"        priority_weight={max(1, how.priority)},"
        if needs := quantities(how):
            limits = {name: each for name, each in needs.items() if name != "cpu"}
            limited = f", limits={limits!r}" if limits else ""
            yield f"        container_resources=k8s.V1ResourceRequirements(requests={needs!r}{limited}),"
        if how.secrets:
            yield "        env_vars=["
            for name in how.secrets:
                key = f"k8s.V1SecretKeySelector(name={object_name(name)!r}, key='value')"
                yield "            k8s.V1EnvVar("
                yield f"                name={name!r},"
                yield f"                value_from=k8s.V1EnvVarSource(secret_key_ref={key}),"
                yield "            ),"
            yield "        ],"
        if self._claim:
            yield "        **SHARE,"

    def _single(self, node: Node) -> str:
        """The argument that takes the items of a map, when they come one by one from another task."""
        if len(node.items) != 1 or not isinstance(node.items[0], dict):
            return ""
        return next((name for name, tree in node.arguments.items() if tree == {"$": "item", "of": 0}), "")

    def _expanded(self, node: Node, own: str) -> str:
        if not node.mapped:
            return ""
        sources = [each for each in node.items if isinstance(each, dict)]
        if not sources:
            return f".expand(arguments={[[] for _ in node.items[0]]!r})"
        mapped = f"{_name(sources[0]['node'])}.output.map"
        if own:
            return f'.expand(arguments={mapped}(lambda item: [f"--argument={own}=json:{{json.dumps(item)}}"]))'
        return f".expand(arguments={mapped}(lambda _: []))"


def _list(name: str, words: list[str], *, first: str = "") -> Iterator[str]:
    yield f"        {name}=["
    if first:
        yield f"            {first},"
    yield from (f"            {word!r}," for word in words)
    yield "        ],"


def _name(name: str) -> str:
    made = name.replace("-", "_")
    return f"{made}_" if made in ("json", "pendulum", "k8s", "timedelta") or not made.isidentifier() else made


def _dag_id(name: str) -> str:
    return re.sub(r"[^\w.\-]+", "-", name)
