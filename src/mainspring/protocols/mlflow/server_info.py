"""What the server says about itself."""

from __future__ import annotations

from typing import Any

from mainspring.protocols.mlflow.wire import Answer, Call, Endpoint

__all__ = ["ENDPOINTS", "SPOKEN"]

SPOKEN = "3.17.2"
"""The version of the protocol; clients choose by it what they ask for."""


def _version(_: Call) -> Answer:
    return Answer(SPOKEN.encode(), media_type="text/plain")


def _server_info(_: Call) -> dict[str, Any]:
    return {
        "store_type": "SqlStore",
        "workspaces_enabled": False,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": True,
        "multipart_downloads_enabled": False,
        "presigned_upload_run_id_supported": True,
        "presigned_upload_model_id_supported": True,
        "features_enabled": {"gateway": False},
    }


ENDPOINTS = (
    Endpoint("GET", "version", _version, version=0),
    Endpoint("GET", "mlflow/server-info", _server_info, version=3),
)
