"""Flows as files of Argo, Kubeflow Pipelines, Airflow and Kubernetes."""

from mainspring.pipelines.exports.exporting import Exported, Target, export

__all__ = ["Exported", "Target", "export"]
