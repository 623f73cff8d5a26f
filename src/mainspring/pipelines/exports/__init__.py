"""Flows as files of Argo, Kubeflow Pipelines, Airflow and Kubernetes.

`exporting.export` makes them. Containers import `inputs` and `portable` only, so this page imports nothing.
"""
