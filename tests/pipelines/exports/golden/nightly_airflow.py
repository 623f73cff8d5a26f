# Made by `mainspring flow export nightly:nightly --to airflow`; changes belong there.
from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG, CronTriggerTimetable, Param
from kubernetes.client import models as k8s

IMAGE = "registry.example/nightly:7"
ENTRY = ["python", "-m", "mainspring.pipelines.entry"]

with DAG(
    dag_id="nightly",
    description="Fit the demand of a day.",
    schedule=CronTriggerTimetable("15 2 * * *", timezone="Europe/Paris"),
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Paris"),
    catchup=False,
    max_active_runs=1,
    params={
        "day": Param("", type="string", description="empty: that of the run"),
        "rows": Param(96, type="integer"),
        "tolerance": Param(0.5, type="number"),
    },
):
    load = KubernetesPodOperator(
        task_id="load",
        name="load",
        image=IMAGE,
        cmds=ENTRY,
        arguments=[
            "step",
            "nightly:load",
            "--argument=day=date:{{ params.day }}",
            "--argument=rows=integer:{{ params.rows | tojson }}",
            "--node=load",
            "--tz=Europe/Paris",
            "--run-id={{ run_id }}",
            "--fired={{ dag_run.logical_date or dag_run.run_after }}",
            "--tried={{ ti.try_number - 1 }}",
            "--xcom=/airflow/xcom/return.json",
        ],
        do_xcom_push=True,
        retries=3,
        retry_delay=timedelta(seconds=2),
        retry_exponential_backoff=2,
        max_retry_delay=timedelta(minutes=5),
    )
    fit = KubernetesPodOperator.partial(
        task_id="fit",
        name="fit",
        image=IMAGE,
        cmds=[
            *ENTRY,
            "step",
            "nightly:fit",
            "--argument=frame=json:{{ ti.xcom_pull(task_ids='load') | tojson }}",
            "--node=fit",
            "--run-id={{ run_id }}",
            "--item={{ ti.map_index }}",
            "--xcom=/airflow/xcom/return.json",
        ],
        do_xcom_push=True,
        execution_timeout=timedelta(seconds=600),
        container_resources=k8s.V1ResourceRequirements(
            requests={"cpu": "2", "memory": "2000000000"},
            limits={"memory": "2000000000"},
        ),
    ).expand(
        arguments=[
            ["--argument=degree=json:1"],
            ["--argument=degree=json:2"],
            ["--argument=degree=json:3"],
        ],
    )
    pick = KubernetesPodOperator(
        task_id="pick",
        name="pick",
        image=IMAGE,
        cmds=ENTRY,
        arguments=[
            "step",
            "nightly:pick",
            "--argument=fits=json:{{ ti.xcom_pull(task_ids=['fit']) | tojson }}",
            "--argument=tolerance=number:{{ params.tolerance | tojson }}",
            "--node=pick",
            "--run-id={{ run_id }}",
            "--xcom=/airflow/xcom/return.json",
        ],
        do_xcom_push=True,
    )
    report = KubernetesPodOperator(
        task_id="report",
        name="report",
        image=IMAGE,
        cmds=ENTRY,
        arguments=[
            "step",
            "nightly:report",
            "--argument=day=date:{{ params.day }}",
            "--argument=chosen=json:{{ ti.xcom_pull(task_ids='pick') | tojson }}",
            "--node=report",
            "--tz=Europe/Paris",
            "--run-id={{ run_id }}",
            "--fired={{ dag_run.logical_date or dag_run.run_after }}",
            "--xcom=/airflow/xcom/return.json",
        ],
        do_xcom_push=True,
    )
    load >> fit
    fit >> pick
    pick >> report
