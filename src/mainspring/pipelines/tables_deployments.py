"""The table of deployments: versions of flows with their code."""

from __future__ import annotations

from mainspring.pipelines.types_deployments import Deployment
from mainspring.store.records import Table

__all__ = ["DEPLOYMENTS", "DEPLOYMENT_TABLES"]

DEPLOYMENTS = Table("flow_deployment", Deployment)

DEPLOYMENT_TABLES = """
CREATE TABLE flow_deployment (
  id TEXT PRIMARY KEY,
  workspace TEXT NOT NULL,
  flow TEXT NOT NULL,
  version BIGINT NOT NULL,
  digest TEXT NOT NULL,
  code TEXT NOT NULL,
  address TEXT NOT NULL,
  main TEXT NOT NULL,
  files TEXT NOT NULL,
  sys_path TEXT NOT NULL,
  cwd TEXT NOT NULL,
  options TEXT NOT NULL,
  labels TEXT NOT NULL,
  pool TEXT NOT NULL,
  priority BIGINT NOT NULL,
  max_attempts BIGINT NOT NULL,
  active BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  UNIQUE (workspace, flow, version)
);
"""
