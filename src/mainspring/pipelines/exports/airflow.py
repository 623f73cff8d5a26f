"""Airflow 3: a flow as the file of a DAG, of KubernetesPodOperators, which imports nothing of ours.

Results travel through XCom as JSON. That holds small values; with a folder that all containers mount, results are
files there, and XCom names them.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator
from typing import Any

from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.exports.graph import Graph, Node, Parameter, used_by
from mainspring.pipelines.exports.kubernetes import object_name, quantities
from mainspring.pipelines.exports.parameters import as_text
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
            raise InvalidInput(f"share={_python(share)} is no claim and folder", hint="--share CLAIM:/mnt/share")
        self._node = Node("", "")

    def lines(self) -> Iterator[str]:
        graph = self._graph
        yield from self._head()
        yield "with DAG("
        yield f"    dag_id={_python(_dag_id(graph.flow))},"
        if graph.title:
            yield f"    description={_python(graph.title)},"
        yield f"    schedule={self._schedule()},"
        yield f'    start_date=pendulum.datetime(2026, 1, 1, tz="{graph.tz}"),'
        yield "    catchup=False,"
        if graph.overlap != "allow_all":
            yield "    max_active_runs=1,"
        if graph.timeout:
            yield f"    dagrun_timeout=timedelta(seconds={graph.timeout:g}),"
        if graph.parameters:
            yield "    params={"
            yield from (f"        {_python(each.name)}: {self._param(each)}," for each in graph.parameters)
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
        found = (
            self.result(self._graph.node(source["node"])) if isinstance(source, dict) else f"json:{constant(source)}"
        )
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
        if self._reads_json():
            yield "import json"
        if timed:
            yield "from datetime import timedelta"
        if timed or self._reads_json():
            yield ""
        yield "import pendulum"
        yield "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator"
        names = ["DAG", *(["Param"] if graph.parameters else []), *([self._timetable()] if graph.crons else [])]
        yield f"from airflow.sdk import {', '.join(sorted(names, key=lambda name: (not name.isupper(), name)))}"
        yield from kubernetes
        yield ""
        yield f"IMAGE = {_python(self._image)}"
        yield f"ENTRY = {_python(COMMAND)}"
        if self._claim:
            yield "SHARE = {"
            yield '    "volumes": ['
            yield "        k8s.V1Volume("
            yield '            name="share",'
            yield (
                "            persistent_volume_claim=k8s.V1PersistentVolumeClaimVolumeSource("
                f"claim_name={_python(self._claim)}),"
            )
            yield "        )"
            yield "    ],"
            yield f'    "volume_mounts": [k8s.V1VolumeMount(name="share", mount_path={_python(self._folder)})],'
            yield "}"
        yield ""

    def _timetable(self) -> str:
        return "CronTriggerTimetable" if len(self._graph.crons) == 1 else "MultipleCronTriggerTimetable"

    def _schedule(self) -> str:
        if not self._graph.crons:
            return "None"
        return f"{self._timetable()}({', '.join(map(_python, self._graph.crons))}, timezone={_python(self._graph.tz)})"

    def _param(self, parameter: Parameter) -> str:
        kind = _SCHEMA.get(parameter.kind, "string")
        if parameter.fires:
            return f'Param("", type={_python(kind)}, description="empty: that of the run")'
        if not parameter.has_default:
            if self._graph.crons:
                raise InvalidInput(
                    f"the flow {self._graph.flow} cannot start by itself: {parameter.name} has no default",
                    hint="give every parameter a default",
                )
            return f"Param(type={_python(kind)})"
        default = parameter.default if parameter.kind in _SCHEMA else as_text(parameter)
        shape = ', format="date"' if parameter.kind == "date" else ""
        return f"Param({_python(default)}, type={_python(kind)}{shape})"

    def _coordinator(self) -> Iterator[str]:
        words = ["flow", self._graph.address]
        words += [f"--argument={each.name}={self.parameter(each)}" for each in self._graph.parameters]
        words += ["--key={{ run_id }}", f"--fired={_FIRED}", f"--tz={self._graph.tz}"]
        yield "    KubernetesPodOperator("
        yield '        task_id="flow",'
        yield f"        name={_python(object_name(self._graph.flow))},"
        yield "        image=IMAGE,"
        yield "        cmds=ENTRY,"
        yield from _list("arguments", words)
        yield "        retries=5,"
        if self._store:
            yield f'        env_vars=[k8s.V1EnvVar(name="MAINSPRING_URL", value={_python(self._store)})],'
        yield "    )"

    def _task(self, node: Node) -> Iterator[str]:
        self._node = node
        own = self._own(node)
        words = ["step", node.step, *argument_words(self._graph, node, self), *how_words(self._graph, node)]
        words = [word for word in words if not any(word.startswith(f"--argument={name}=") for name in own)]
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
        yield f"        task_id={_python(node.name)},"
        yield f"        name={_python(node.name)},"
        yield f"        image={'IMAGE' if not node.how.image else _python(node.how.image)},"
        if node.mapped:  # what is mapped is not a template, so the words that are stand in the command
            yield from _list("cmds", words, first="*ENTRY")
        else:
            yield "        cmds=ENTRY,"
            yield from _list("arguments", words)
        yield from self._options(node)
        yield from self._expanded(node, own)

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
            yield "        container_resources=k8s.V1ResourceRequirements("
            yield f"            requests={_python(needs)},"
            if limits:
                yield f"            limits={_python(limits)},"
            yield "        ),"
        if how.secrets:
            yield "        env_vars=["
            for name in how.secrets:
                key = f'k8s.V1SecretKeySelector(name={_python(object_name(name))}, key="value")'
                yield "            k8s.V1EnvVar("
                yield f"                name={_python(name)},"
                yield f"                value_from=k8s.V1EnvVarSource(secret_key_ref={key}),"
                yield "            ),"
            yield "        ],"
        if self._claim:
            yield "        **SHARE,"

    def _own(self, node: Node) -> list[str]:
        """The arguments of a map that Airflow spreads itself: of constants, or of the results of one task."""
        known = all(isinstance(each, list) for each in node.items)
        if not node.mapped or not (known or len(node.items) == 1):
            return []
        tags = [{"$": "item", "of": place} for place in range(len(node.items))]
        names = [next((name for name, tree in node.arguments.items() if tree == tag), "") for tag in tags]
        return names if all(names) else []

    def _reads_json(self) -> bool:
        return any(self._own(node) and isinstance(node.items[0], dict) for node in self._graph.nodes)

    def _expanded(self, node: Node, own: list[str]) -> Iterator[str]:
        source = next((each for each in node.items if isinstance(each, dict)), None)
        if not node.mapped:
            yield "    )"
        elif source is not None:
            words = f'[f"--argument={own[0]}=json:{{json.dumps(item)}}"]' if own else "[]"
            yield "    ).expand("
            yield f"        arguments={_name(source['node'])}.output.map(lambda {'item' if own else '_'}: {words}),"
            yield "    )"
        else:
            yield "    ).expand("
            yield "        arguments=["
            for row in zip(*node.items, strict=True):
                row_words = [f"--argument={name}=json:{constant(each)}" for name, each in zip(own, row, strict=False)]
                yield f"            {_python(row_words)},"
            yield "        ],"
            yield "    )"


def _list(name: str, words: list[str], *, first: str = "") -> Iterator[str]:
    yield f"        {name}=["
    if first:
        yield f"            {first},"
    yield from (f"            {_python(word)}," for word in words)
    yield "        ],"


def _python(value: Any) -> str:
    """A value of JSON as Python writes it, with the quotes of this file."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_python(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_python(key)}: {_python(each)}' for key, each in value.items())}}}"
    return repr(value)


def _name(name: str) -> str:
    made = name.replace("-", "_")
    taken = keyword.iskeyword(made) or made in ("json", "pendulum", "k8s", "timedelta")
    return f"{made}_" if taken else made


def _dag_id(name: str) -> str:
    return re.sub(r"[^\w.\-]+", "-", name)
