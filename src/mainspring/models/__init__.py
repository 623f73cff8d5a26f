"""Models: signatures, safe formats, compilation to ONNX with measured parity, the registry and its cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mainspring.engines.signature import Field, Signature
from mainspring.kernel.verbs import verbs as _verbs
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
    "alias",
    "alias_history",
    "approve",
    "attach_report",
    "card",
    "describe",
    "describe_version",
    "download",
    "export",
    "get",
    "load",
    "load_object",
    "log_model",
    "models",
    "register",
    "remove_alias",
    "versions",
]

if TYPE_CHECKING:
    from mainspring.models.service import Models

    _default = cast("Models", None)
    alias = _default.alias
    alias_history = _default.alias_history
    approve = _default.approve
    attach_report = _default.attach_report
    card = _default.card
    describe = _default.describe
    describe_version = _default.describe_version
    download = _default.download
    export = _default.export
    get = _default.get
    load = _default.load
    load_object = _default.load_object
    log_model = _default.log_model
    models = _default.models
    register = _default.register
    remove_alias = _default.remove_alias
    versions = _default.versions
else:
    __getattr__ = _verbs(__name__, __all__)
