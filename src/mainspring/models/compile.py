"""Compilation: a fitted model as one ONNX graph that answers as the model does, or the reason why not.

The graph takes at most two matrices: `numbers` (double) and `texts` (string), in the order of the signature (see
`engines/models_onnx.py` for why), and gives `label` and `probability`, or `value`. It is used for serving only when
its parity with the original, measured on real rows and at the thresholds of its decisions, is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mainspring.engines.models_onnx import OnnxPredictor
from mainspring.kernel.errors import InvalidInput, MissingDependency, UnsupportedFormat
from mainspring.models.native import fitted_names, native_predictor
from mainspring.models.onnx_graph import Graph
from mainspring.models.onnx_models import emit_model
from mainspring.models.parity import CompileReport, measure, probe_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mainspring.engines.signature import Signature

__all__ = ["Compiled", "compile_model"]


class Compiled(NamedTuple):
    """A compiled model and how it compares; `graph` is empty when there is none."""

    graph: bytes
    report: CompileReport


def compile_model(
    model: Any, signature: Signature, example: Mapping[str, NDArray[Any]], *, classes: Sequence[Any] = ()
) -> Compiled:
    """Compile a fitted model and measure it against the original.

    Args:
        model: A scikit-learn estimator or pipeline, or a booster or estimator of LightGBM, XGBoost or CatBoost.
        signature: Its inputs.
        example: Rows as `Signature.convert` gives them; more rows, more evidence.
        classes: The classes of a booster that classifies.

    Returns:
        The graph and the report. A model that has no exact graph is not an error: the report says why.
    """
    try:
        graph = Graph(signature)
        table = [graph.inputs[name] for name in _order(model, signature)]
        outputs = emit_model(graph, model, table, classes=classes)
        made = graph.build(outputs)
        compiled = OnnxPredictor(made, signature)
    except UnsupportedFormat as error:
        return Compiled(b"", CompileReport(exact=False, reason=error.message))
    except MissingDependency as error:
        return Compiled(b"", CompileReport(exact=False, reason=str(error)))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # Much of a fitted model is private to its library and may change with it; the model is still served natively.
        reason = f"{type(model).__name__} is not built as expected: {type(error).__name__}: {error}"
        return Compiled(b"", CompileReport(exact=False, reason=reason))
    try:
        native = native_predictor(model, signature, classes=classes)
        reports = [measure(native, compiled, rows) for rows in probe_rows(signature, example, graph.thresholds)]
    finally:
        compiled.close()
    return Compiled(made, _total(reports))


def _order(model: Any, signature: Signature) -> Sequence[str]:
    """The columns in the order in which the model was fitted on them."""
    names = fitted_names(model, signature)
    missing = [name for name in names if name not in signature.names]
    if missing:
        raise InvalidInput(
            f"the model was fitted on the column {missing[0]!r}, which the signature lacks", known=signature.names
        )
    return names


def _total(reports: Sequence[CompileReport]) -> CompileReport:
    return CompileReport(
        exact=all(report.exact for report in reports),
        rows=sum(report.rows for report in reports),
        label_mismatches=sum(report.label_mismatches for report in reports),
        max_abs_difference=max(report.max_abs_difference for report in reports),
        reason=next((report.reason for report in reports if not report.exact), ""),
    )
