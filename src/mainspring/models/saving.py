"""What `log_model` does before anything is uploaded: the signature read off an example, the folder, the parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engines.models_onnx import OnnxPredictor
from mainspring.engines.signature import Signature
from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.models.examples import as_columns
from mainspring.models.formats import SaveOptions
from mainspring.models.mlflow_model import MLMODEL, read_mlmodel
from mainspring.models.mlflow_signature import from_mlflow
from mainspring.models.native import fitted_names, library_of, native_predictor
from mainspring.models.package import write_package
from mainspring.models.policy import LoadPolicy
from mainspring.models.signature import infer_fields, infer_outputs
from mainspring.models.types import Manifest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mainspring.engines.models import Predictor

__all__ = ["parameters_of", "write"]

_PARITY_ROWS = 20_000
_SIGNATURE_ROWS = 100


def write(
    model: Any,
    folder: Path,
    *,
    example: Any,
    signature: Signature | None,
    nullable: Sequence[str],
    classes: Sequence[Any],
    format: str,  # noqa: A002 -- the word of the field, and only ever given by name
    policy: LoadPolicy,
    compiled: bool,
    options: SaveOptions | None = None,
) -> Manifest:
    """Save a model with a signature that was tried: the model has answered rows of the example under it.

    Args:
        model: What a format accepts.
        folder: Where to.
        example: Rows of inputs: a frame of polars or pandas, columns by name, records, an array, a tensor, or texts.
            None for weights, which answer nothing, and for models whose own files describe their inputs.
        signature: Instead of the one read off the example.
        nullable: Columns that may lack values although the example has them all.
        classes: The classes of a booster that classifies.
        format: The format; chosen by the model's kind when left out.
        policy: What may be loaded.
        compiled: Whether to compile to ONNX.
        options: What the format needs beside the model.
    """
    inputs, columns = _read(model, example, signature, nullable)
    if columns is not None and not inputs.outputs:
        native = _native(model, inputs, classes)
        if native is not None:
            answers = native.predict({name: column[:_SIGNATURE_ROWS] for name, column in columns.items()})
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
        options=options,
    )


def parameters_of(model: Any) -> dict[str, Any]:
    """The plain parameters of an estimator, of a pipeline's last step, or of a booster."""
    steps = getattr(model, "steps", None)
    final = steps[-1][1] if steps else model
    asked = getattr(final, "get_params", None)
    try:
        found = (asked(deep=False) if library_of(final) != "catboost" else asked()) if asked else final.params
    except (AttributeError, TypeError, ValueError):
        found = {}
    return {key: value for key, value in found.items() if _plain(value)} if isinstance(found, dict) else {}


def _plain(value: Any) -> bool:
    return isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def _read(
    model: Any, example: Any, signature: Signature | None, nullable: Sequence[str]
) -> tuple[Signature, dict[str, NDArray[Any]] | None]:
    """The signature, and the example's rows under it; no rows where there is no example."""
    if example is None:
        return signature or _described(model), None
    given = as_columns(example, names=_wanted(model))
    rows = len(next(iter(given.values()))) if given else 0
    if rows == 0:
        raise InvalidInput(
            "the example has no rows", hint="give real rows of the model's inputs: the training frame, for one"
        )
    inputs = signature
    if inputs is None:
        fields = infer_fields(given, nullable=nullable)
        names = fitted_names(model, Signature(inputs=fields))
        missing = [name for name in names if name not in given]
        if missing:
            raise InvalidInput(
                f"the model was fitted on the column {missing[0]!r}, which the example lacks",
                known=nearest(missing[0], list(given)),
            )
        by_name = {field.name: field for field in fields}
        inputs = Signature(inputs=tuple(by_name[name] for name in names))
    if rows > _PARITY_ROWS:
        given = _sampled(given, rows)
    return inputs, inputs.convert(given)


def _sampled(columns: dict[str, Any], rows: int) -> dict[str, Any]:
    import numpy as np

    chosen = np.sort(np.random.default_rng(0).choice(rows, _PARITY_ROWS, replace=False))
    return {name: column[chosen] for name, column in columns.items()}


def _wanted(model: Any) -> list[str]:
    """The names to give to the columns of an array: those that the model was fitted on."""
    try:
        return fitted_names(model, Signature(inputs=()))
    except (AttributeError, TypeError):
        return []


def _described(model: Any) -> Signature:
    """What a model says of itself where there is no example: the `MLmodel` of a folder, or nothing."""
    if isinstance(model, str | Path) and (Path(model) / MLMODEL).is_file():
        return from_mlflow(read_mlmodel((Path(model) / MLMODEL).read_bytes()).get("signature"))
    return Signature(inputs=())


def _native(model: Any, signature: Signature, classes: Sequence[Any]) -> Predictor | None:
    """The model as it is in this process; None for what is no model until it is loaded."""
    if isinstance(model, bytes) or type(model).__name__ == "ModelProto":
        return OnnxPredictor(model if isinstance(model, bytes) else model.SerializeToString(), signature)
    if isinstance(model, str | Path | dict):
        return None
    if type(model).__module__.startswith("torch.export"):
        model = model.module()
    elif library_of(model) == "torch":
        return _in_evaluation(model, signature)
    return native_predictor(model, signature, classes=classes)


def _in_evaluation(model: Any, signature: Signature) -> Predictor:
    """A module as it will be served; the user's own stays in the mode that it is in."""
    import copy

    return native_predictor(copy.deepcopy(model).eval(), signature)
