"""What `log_model` does before anything is uploaded: the signature read off an example, the folder, the parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engines.models import Predictor
from mainspring.engines.models_onnx import OnnxPredictor
from mainspring.engines.signature import Signature
from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.models.compile import native_predictor
from mainspring.models.package import write_package
from mainspring.models.policy import LoadPolicy
from mainspring.models.signature import infer_outputs, infer_signature
from mainspring.models.types import Manifest

if TYPE_CHECKING:
    import polars as pl

__all__ = ["parameters_of", "write"]

_PARITY_ROWS = 20_000
_SIGNATURE_ROWS = 100


def write(
    model: Any,
    folder: Path,
    *,
    example: pl.DataFrame,
    signature: Signature | None,
    nullable: Sequence[str],
    classes: Sequence[Any],
    format: str,  # noqa: A002 -- the word of the field, and only ever given by name
    policy: LoadPolicy,
    compiled: bool,
) -> Manifest:
    """Save a model with a signature that was tried: the model has answered rows of the example under it."""
    if example.height == 0:
        raise InvalidInput(
            "the example has no rows", hint="give real rows of the model's inputs: the training frame, for one"
        )
    inputs = signature or infer_signature(_inputs(model, example), nullable=nullable)
    rows = example if example.height <= _PARITY_ROWS else example.sample(_PARITY_ROWS, seed=0)
    columns = inputs.convert(rows)
    if not inputs.outputs:
        answers = _native(model, inputs, classes).predict(
            {name: column[:_SIGNATURE_ROWS] for name, column in columns.items()}
        )
        inputs = msgspec.structs.replace(inputs, outputs=infer_outputs(answers))
    return write_package(
        model,
        folder,
        signature=inputs,
        example=columns,
        format=format,
        classes=classes,
        policy=policy,
        compiled=compiled,
    )


def parameters_of(model: Any) -> dict[str, Any]:
    """The plain parameters of an estimator, of a pipeline's last step, or of a booster."""
    steps = getattr(model, "steps", None)
    final = steps[-1][1] if steps else model
    asked = getattr(final, "get_params", None)
    found = asked(deep=False) if asked else getattr(final, "params", None) or {}
    return {key: value for key, value in found.items() if _plain(value)}


def _plain(value: Any) -> bool:
    return isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def _inputs(model: Any, example: pl.DataFrame) -> pl.DataFrame:
    """The columns that the model was fitted on, in its order; all of the example's when it does not say."""
    names = getattr(model, "feature_names_in_", None)
    if names is None or type(model).__module__.startswith("lightgbm."):
        return example
    missing = [str(name) for name in names if name not in example.columns]
    if missing:
        raise InvalidInput(
            f"the model was fitted on the column {missing[0]!r}, which the example lacks",
            known=nearest(missing[0], example.columns),
        )
    return example.select([str(name) for name in names])


def _native(model: Any, signature: Signature, classes: Sequence[Any]) -> Predictor:
    if isinstance(model, bytes) or type(model).__name__ == "ModelProto":
        return OnnxPredictor(model if isinstance(model, bytes) else model.SerializeToString(), signature)
    return native_predictor(model, signature, classes=classes)
