"""A small Argo: runs a Workflow's templates in the order of their DAG, with folders for pods and for the repository.

It is stricter than Argo where it can be: a template that is left unfilled, an input that is not given, an output that
is not written is an error.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = "/tmp/mainspring"


class Argo:
    """One run of one Workflow.

    Args:
        manifest: A Workflow or a CronWorkflow.
        folder: Where pods and the artifact repository are.
        run: Runs the words of a container in a folder; raises when it fails.
        parameters: Given at submission.
    """

    def __init__(
        self,
        manifest: dict[str, Any],
        folder: Path,
        run: Callable[[list[str]], None],
        parameters: dict[str, str] | None = None,
    ) -> None:
        spec = manifest["spec"].get("workflowSpec", manifest["spec"])
        self._templates = {each["name"]: each for each in spec["templates"]}
        self._entry, self._folder, self._run = spec["entrypoint"], folder, run
        self._repository = folder / "repository"
        self._scope = {"workflow.uid": "uid-1", "workflow.creationTimestamp.RFC3339": "2026-11-21T23:30:00Z"}
        if manifest["kind"] == "CronWorkflow":
            self._scope["workflow.scheduledTime"] = "2026-11-21T23:30:00Z"
        for each in spec.get("arguments", {}).get("parameters", []):
            self._scope[f"workflow.parameters.{each['name']}"] = (parameters or {}).get(each["name"], each.get("value"))
        self.order: list[str] = []
        self.pods: list[str] = []

    def execute(self) -> Path | None:
        """Run it; the file of the result."""
        entry = self._templates[self._entry]
        if "container" in entry:
            self._pod("main", entry, {}, {})
            return None
        tasks = {each["name"]: each for each in entry["dag"]["tasks"]}
        while len(self.order) < len(tasks):
            ready = [
                task
                for name, task in tasks.items()
                if name not in self.order and set(task.get("depends", "").split(" && ")) - {""} <= set(self.order)
            ]
            assert ready, f"nothing can go on after {self.order}"
            self._task(ready[-1])  # the last that may: an order that is forgotten shows
        found = entry.get("outputs", {}).get("artifacts", [])
        return self._artifacts[found[0]["from"]] if found else None

    @property
    def _artifacts(self) -> dict[str, Path]:
        return self.__dict__.setdefault("_made", {})

    def _task(self, task: dict[str, Any]) -> None:
        template = self._templates[task["template"]]
        arguments = self._filled(task.get("arguments", {}), self._scope, leave=("item",))
        items: list[Any] = [None]
        if "withItems" in task:
            items = task["withItems"]
        elif "withSequence" in task:
            items = [str(each) for each in range(int(self._filled(task["withSequence"]["count"], self._scope)))]
        for number, item in enumerate(items):
            scope = {f"item.{key}": each for key, each in item.items()} if isinstance(item, dict) else {"item": item}
            given = self._filled(arguments, scope)
            parameters = {each["name"]: each["value"] for each in given.get("parameters", [])}
            artifacts = {
                each["name"]: self._repository / each["s3"]["key"] if "s3" in each else self._artifacts[each["from"]]
                for each in given.get("artifacts", [])
            }
            fan = "withItems" in task or "withSequence" in task
            self._pod(
                f"{task['name']}-{number}" if fan else task["name"], template, parameters, artifacts, task["name"]
            )
        self.order.append(task["name"])

    def _pod(self, name: str, template: dict[str, Any], parameters: dict, artifacts: dict, task: str = "") -> None:
        pod = self._folder / "pods" / name
        inputs = template.get("inputs", {})
        wanted = {each["name"] for each in inputs.get("parameters", [])}
        assert wanted == set(parameters), f"{name}: parameters {wanted}, given {set(parameters)}"
        scope = self._scope | {f"inputs.parameters.{key}": each for key, each in parameters.items()}
        if "retryStrategy" in template:
            scope["retries"] = "0"
        template = self._filled(template, scope)
        for each in inputs.get("artifacts", []):
            wanted = self._filled(each, scope)
            source = self._repository / wanted["s3"]["key"] if "s3" in wanted else artifacts.pop(wanted["name"])
            target = pod / wanted["path"].removeprefix(f"{ROOT}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            elif source.exists() or not wanted.get("optional"):
                shutil.copy(source, target)
        assert not artifacts, f"{name}: no input for {artifacts}"
        container = template["container"]
        words = [*container["command"], *container["args"]]
        self.pods.append(name)
        self._run([word.replace(ROOT, str(pod)) for word in words])
        for each in template.get("outputs", {}).get("artifacts", []):
            made = pod / each["path"].removeprefix(f"{ROOT}/")
            key = each.get("s3", {}).get("key") or f"default/{name}/{each['name']}"
            target = self._repository / key
            target.parent.mkdir(parents=True, exist_ok=True)
            if made.is_dir():
                shutil.copytree(made, target)
            elif made.exists() or not each.get("optional"):
                shutil.copy(made, target)
            self._artifacts[f"{{{{tasks.{task}.outputs.artifacts.{each['name']}}}}}"] = target
        for each in template.get("outputs", {}).get("parameters", []):
            path = pod / each["valueFrom"]["path"].removeprefix(f"{ROOT}/")
            self._scope[f"tasks.{task}.outputs.parameters.{each['name']}"] = path.read_text()

    def _filled(self, tree: Any, scope: dict[str, Any], leave: tuple[str, ...] = ()) -> Any:
        """As Argo fills a template: in its JSON, with what is filled in escaped as a text of JSON."""

        def fill(match: re.Match) -> str:
            name = match[1].strip()
            if name.partition(".")[0] in (*leave, "tasks") and name not in scope:
                return match[0]
            assert scope.get(name) is not None, f"{{{{{name}}}}} is not known"
            return json.dumps(str(scope[name]))[1:-1]

        text = re.sub(r"\{\{([^{}=][^{}]*)\}\}", fill, json.dumps(tree))
        return json.loads(text)
