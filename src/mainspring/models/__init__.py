"""Models: signatures, safe formats, compilation to ONNX with measured parity, the registry and its cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mainspring.engines.signature import Field, Signature
from mainspring.kernel.verbs import verbs as _verbs
from mainspring.models.parity import CompileReport
from mainspring.models.policy import LoadPolicy
from mainspring.models.types import (
    Approval,
    Attached,
    Code,
    Environment,
    Gate,
    Metric,
    Model,
    ModelCard,
    ModelPage,
    ModelVersion,
    RetentionRule,
    Rule,
    VersionDiff,
    VersionPage,
)

__all__ = [
    "Approval",
    "Attached",
    "Code",
    "CompileReport",
    "Environment",
    "Field",
    "Gate",
    "LoadPolicy",
    "Metric",
    "Model",
    "ModelCard",
    "ModelPage",
    "ModelVersion",
    "RetentionRule",
    "Rule",
    "Signature",
    "VersionDiff",
    "VersionPage",
    "alias",
    "alias_history",
    "approvals",
    "approve",
    "attach_report",
    "card",
    "card_texts",
    "create",
    "delete",
    "delete_version",
    "describe",
    "describe_version",
    "diff",
    "download",
    "export",
    "get",
    "load",
    "load_object",
    "log_model",
    "may_take",
    "measure",
    "model",
    "models",
    "register",
    "register_folder",
    "reject",
    "remove_alias",
    "rename",
    "render_card",
    "restore",
    "restore_version",
    "retain",
    "retention",
    "rules",
    "search",
    "search_versions",
    "set_approval",
    "set_retention",
    "set_rules",
    "set_stage",
    "tag",
    "tag_version",
    "versions",
    "withdraw",
    "write_card",
]

if TYPE_CHECKING:
    from mainspring.models.service import Models

    _default = cast("Models", None)
    alias = _default.alias
    alias_history = _default.alias_history
    approvals = _default.approvals
    approve = _default.approve
    attach_report = _default.attach_report
    card = _default.card
    card_texts = _default.card_texts
    create = _default.create
    delete = _default.delete
    delete_version = _default.delete_version
    describe = _default.describe
    describe_version = _default.describe_version
    diff = _default.diff
    download = _default.download
    export = _default.export
    get = _default.get
    load = _default.load
    load_object = _default.load_object
    log_model = _default.log_model
    may_take = _default.may_take
    measure = _default.measure
    model = _default.model
    models = _default.models
    register = _default.register
    register_folder = _default.register_folder
    reject = _default.reject
    remove_alias = _default.remove_alias
    rename = _default.rename
    render_card = _default.render_card
    restore = _default.restore
    restore_version = _default.restore_version
    retain = _default.retain
    retention = _default.retention
    rules = _default.rules
    search = _default.search
    search_versions = _default.search_versions
    set_approval = _default.set_approval
    set_retention = _default.set_retention
    set_rules = _default.set_rules
    set_stage = _default.set_stage
    tag = _default.tag
    tag_version = _default.tag_version
    versions = _default.versions
    withdraw = _default.withdraw
    write_card = _default.write_card
else:
    __getattr__ = _verbs(__name__, __all__)
