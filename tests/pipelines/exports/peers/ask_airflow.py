"""Imports DAG files as Airflow's DagBag does, and runs them with `dag.test()`.

    ask_airflow.py FOLDER RUN...      the ids of the DAGs that are run, each with its params as ID=JSON

Run by the Python that has Airflow, with AIRFLOW_HOME at a folder of its own; containers run with MAINSPRING_PYTHON.
Rendering of templates, mapping and XCom are Airflow's own; only the pod is replaced: a process instead of it.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ |= {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{os.environ['AIRFLOW_HOME']}/airflow.db",
}

from airflow.dag_processing.dagbag import DagBag
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.utils.db import initdb

RESULTS: dict[str, object] = {}


def execute(self, context):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/return.json"
        words = [*self.cmds, *(self.arguments or [])]
        assert not any(mark in word for word in words for mark in ("{{", "{%")), words
        words = [word.replace("/airflow/xcom/return.json", path) for word in words]
        subprocess.run([os.environ["MAINSPRING_PYTHON"], *words[1:]], check=True, cwd=os.environ["MAINSPRING_FOLDER"])
        RESULTS[self.task_id] = json.loads(Path(path).read_text()) if self.do_xcom_push else None
        return RESULTS[self.task_id]


def pulled(run):
    """What tasks that are Python returned."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.query(XComModel).filter_by(run_id=run.run_id, key="return_value", map_index=-1).all()
        return {row.task_id: XComModel.deserialize_value(row) for row in rows}


def main(folder, *runs):
    bag = DagBag(folder)
    facts = {
        "errors": {Path(path).name: text for path, text in bag.import_errors.items()},
        "tasks": {name: sorted(dag.task_dict) for name, dag in bag.dags.items()},
        "edges": {
            name: {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
            for name, dag in bag.dags.items()
        },
        "timetables": {name: dag.timetable.__class__.__name__ for name, dag in bag.dags.items()},
        "runs": {},
    }
    if runs:
        initdb()
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import sync_bag_to_db

        DagBundlesManager().sync_bundles_to_db()
        sync_bag_to_db(bag, "dags-folder", None)
        KubernetesPodOperator.execute = execute
        logging.disable(logging.INFO)
    for each in runs:
        name, _, given = each.partition("=")
        RESULTS.clear()
        run = bag.dags[name].test(run_conf=json.loads(given or "{}"))
        facts["runs"][name] = {
            "state": str(run.state),
            "results": RESULTS | pulled(run),
            "tasks": sorted(f"{ti.task_id}/{ti.map_index}: {ti.state}" for ti in run.get_task_instances()),
        }
    print("\n" + json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
