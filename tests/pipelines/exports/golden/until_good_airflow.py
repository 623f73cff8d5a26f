# Made by `mainspring flow export nightly:until_good --to airflow`; changes belong there.
# The flow is run whole, in one container, because it has no static graph: nightly.py:78: `while (found := fit(frame,
#   degree)).error > goal and degree < 9:` looks into the result of fit.
# What it finished is lost with its container, unless MAINSPRING_URL names a server (--store URL).
from __future__ import annotations

import pendulum
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG, Param

IMAGE = "registry.example/nightly:7"
ENTRY = ["python", "-m", "mainspring.pipelines.entry"]

with DAG(
    dag_id="until_good",
    description="The same with a loop that no graph can show: a degree more until it is good.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    params={
        "day": Param("", type="string", description="empty: that of the run"),
        "rows": Param(96, type="integer"),
        "goal": Param(1.0, type="number"),
    },
):
    KubernetesPodOperator(
        task_id="flow",
        name="until-good",
        image=IMAGE,
        cmds=ENTRY,
        arguments=[
            "flow",
            "nightly:until_good",
            "--argument=day=date:{{ params.day }}",
            "--argument=rows=integer:{{ params.rows | tojson }}",
            "--argument=goal=number:{{ params.goal | tojson }}",
            "--key={{ run_id }}",
            "--fired={{ dag_run.logical_date or dag_run.run_after }}",
            "--tz=UTC",
        ],
        retries=5,
    )
