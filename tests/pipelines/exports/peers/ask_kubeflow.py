"""Reads a pipeline with Kubeflow Pipelines' own loader, and runs it with its own local orchestrator.

    ask_kubeflow.py FILE FOLDER NAME=JSON...

Run by the Python that has kfp; containers run with MAINSPRING_PYTHON. What `kfp.local` lacks is put in here, and
nothing else: its subprocess runner takes Python components only, and pulls images for others; a loop runs after
all other tasks, which whoever waits for the loop does not survive, and what it takes from a task becomes the item; a
list of artifacts is not written into the executor's input.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import yaml
from google.protobuf import json_format
from kfp import components, dsl, local
from kfp.compiler import pipeline_spec_builder
from kfp.local import executor_input_utils, status, subprocess_task_handler
from kfp.local.orchestrator import enhanced_dag_orchestrator as orchestrator
from kfp.pipeline_spec import pipeline_spec_pb2


class Handler(subprocess_task_handler.SubprocessTaskHandler):
    """Runs Python components as ever, and containers of ours too."""

    def validate_image(self, image):
        pass

    def validate_not_container_component(self, full_command):
        pass

    def run(self):
        if "mainspring.pipelines.entry" not in self.full_command:
            return super().run()
        words = [os.environ["MAINSPRING_PYTHON"], *self.full_command[1:]]
        ended = subprocess.run(words, check=False, cwd=os.environ["MAINSPRING_FOLDER"])
        return status.Status.SUCCESS if ended.returncode == 0 else status.Status.FAILURE


def with_loops_in_their_place():
    one = orchestrator.execute_task

    def execute(**given):
        task = given["task_spec"]
        if task.WhichOneof("iterator") != "parameter_iterator":
            return one(**given)
        items, store = task.parameter_iterator.items, given["io_store"]
        if items.HasField("raw"):
            found = json.loads(items.raw)
        else:
            source = task.inputs.parameters[items.input_parameter].task_output_parameter
            found = store.get_task_output(source.producer_task, source.output_parameter_key)
        made = given["components"][task.component_ref.name].output_definitions
        gathered: dict[str, list] = {name: [] for name in (*made.artifacts, *made.parameters)}
        for number, item in enumerate(found):
            name = f"{given['task_name']}-iteration-{number}"
            spec = pipeline_spec_pb2.PipelineTaskSpec()
            spec.CopyFrom(task)
            spec.ClearField("parameter_iterator")
            constant = pipeline_spec_builder.to_protobuf_value(item)
            spec.inputs.parameters[task.parameter_iterator.item_input].runtime_value.constant.CopyFrom(constant)
            outputs, ended = one(**{**given, "task_name": name, "task_spec": spec})
            if ended == status.Status.FAILURE:
                return {}, ended
            for key, value in outputs.items():
                gathered[key].append(value)
        outputs = {key: Several(found) if key in made.artifacts else found for key, found in gathered.items()}
        return outputs, status.Status.SUCCESS

    orchestrator._has_valid_iterator = lambda task: False
    orchestrator.execute_task = execute


class Several(dsl.Artifact):
    """A list of artifacts that passes for one, where lists are taken for parameters."""

    def __init__(self, found):
        super().__init__()
        self.found = found


def with_lists_of_artifacts():
    one = executor_input_utils.dsl_artifact_to_artifact_list

    def several(artifact):
        if not isinstance(artifact, Several):
            return one(artifact)
        return pipeline_spec_pb2.ArtifactList(artifacts=[one(each).artifacts[0] for each in artifact.found])

    executor_input_utils.dsl_artifact_to_artifact_list = several


def main(file, folder, *given):
    documents = list(yaml.safe_load_all(Path(file).read_text()))
    json_format.ParseDict(documents[0], pipeline_spec_pb2.PipelineSpec())
    if len(documents) > 1:
        json_format.ParseDict(documents[1], pipeline_spec_pb2.PlatformSpec())
    pipeline = components.load_component_from_file(file)
    facts = {"inputs": sorted(pipeline.component_spec.inputs or {})}
    if folder:
        logging.disable()
        with_loops_in_their_place()
        with_lists_of_artifacts()
        from kfp.local import task_dispatcher

        for module in (task_dispatcher, subprocess_task_handler):
            module.SubprocessTaskHandler = Handler
            if hasattr(module, "subprocess_task_handler"):
                module.subprocess_task_handler.SubprocessTaskHandler = Handler
        local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=folder, raise_on_error=True)
        task = pipeline(**{name: json.loads(text) for name, _, text in (each.partition("=") for each in given)})
        facts["outputs"] = {name: getattr(found, "uri", found) for name, found in task.outputs.items()}
    print(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
