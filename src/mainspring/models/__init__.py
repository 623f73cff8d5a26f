"""Models: signatures, safe formats, compilation to ONNX with measured parity, the registry and its cards."""

from __future__ import annotations

from mainspring.engines.signature import Field, Signature
from mainspring.models.parity import CompileReport
from mainspring.models.policy import LoadPolicy
from mainspring.models.types import Approval, Attached, Code, Environment, Metric, Model, ModelCard, ModelVersion

__all__ = [
    "Approval",
    "Attached",
    "Code",
    "CompileReport",
    "Environment",
    "Field",
    "LoadPolicy",
    "Metric",
    "Model",
    "ModelCard",
    "ModelVersion",
    "Signature",
]
