"""Making registered versions without training: the registry does not look into what it keeps."""

from __future__ import annotations

from typing import Any

from mainspring.client.client import Client
from mainspring.engines.signature import Field, Signature
from mainspring.kernel.context import Caller
from mainspring.lineage.types import File
from mainspring.models.types import Manifest, Metric, ModelVersion
from mainspring.store.service import Storage

SIGNATURE = Signature(inputs=(Field("wind", "FP64"),), outputs=(Field("label", "INT64"),))


def person(name: str, *roles: str) -> Caller:
    """Somebody who came with a token."""
    return Caller(principal=name, roles=roles or ("approver",), method="token")


def register(client: Client, name: str = "m", content: bytes = b"", **more: Any) -> ModelVersion:
    """Register one file as the next version; every call has other bytes where none are given."""
    content = content or f"{name} {len(client.models.search_versions(view='all', limit=1000).versions)}".encode()
    info = Storage(client.backend).put_blob([content])
    file = File("model.bin", info.size, info.digest)
    metrics = {key: each if isinstance(each, Metric) else Metric(each) for key, each in more.pop("metrics", {}).items()}
    signature = more.pop("signature", SIGNATURE)
    manifest = Manifest(format="onnx", signature=signature, files=(file,))
    return client.models.register(name, files=[file], manifest=manifest, metrics=metrics, **more)
