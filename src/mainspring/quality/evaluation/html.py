"""Evaluation reports as HTML: one page of tables and pictures that needs nothing else, and a piece for a notebook."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from mainspring.quality.evaluation import pictures
from mainspring.quality.evaluation.effects import Effect
from mainspring.quality.evaluation.explanation import Explanation
from mainspring.quality.evaluation.pictures import Dot
from mainspring.quality.evaluation.report import EvaluationReport
from mainspring.quality.evaluation.robustness import Robustness
from mainspring.quality.evaluation.terminal import estimate_text, metric_rows
from mainspring.quality.evaluation.types import Curve, Estimate, Evaluation, Importance, Slice

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["evaluation_html", "summary_html"]

_SLICES = 25
_FEATURES = 15
_GROUPS = 40
_TILES = 4
_CLASSES = 30
_FIRST = ("auc", "auc_ovr_macro", "ndcg@10", "mase", "accuracy", "f1_macro", "log_loss", "map@10", "mrr@10", "mae",
          "rmse", "r2", "wape", "pinball", "subset_accuracy", "brier", "bias")  # fmt: skip


def evaluation_html(report: EvaluationReport) -> str:
    """The whole report as one HTML page without scripts and without requests to anywhere."""
    found = report.evaluation
    explained = report.explanation.importances if report.explanation else report.importances
    return _template().render(
        report=report,
        found=found,
        tiles=[(name, found.metrics[name]) for name in _FIRST if name in found.metrics][:_TILES],
        metrics=metric_rows(report),
        told=estimate_text,
        curves=_curves(found),
        matrix=_matrix(found),
        slices=_slices(found),
        hidden=max(len(found.slices) - _SLICES, 0),
        horizons=_horizons(found),
        fairness=_fairness(report),
        importances=_importances(explained),
        swarm=_swarm(report.explanation),
        falls=_falls(report.robustness),
        effects=[
            (f"{each.kind} of {each.feature}", _effect(each), any(isinstance(value, str) for value in each.at))
            for each in report.effects
        ],
        classes=list(found.by_class.items())[:_CLASSES],
    )


def summary_html(report: EvaluationReport) -> str:
    """The verdict and the metrics, for a notebook."""
    found = report.evaluation
    rows = "".join(
        f"<tr><td style='text-align:left'>{escape(name)}</td><td>{escape(value)}</td><td>{escape(interval)}</td></tr>"
        for name, value, interval, _ in metric_rows(report)
    )
    verdict = f": {report.decision.verdict}" if report.decision else ""
    head = f"{escape(found.model or found.task)}{verdict}"
    return f"<div><strong>{head}</strong> <span>{found.count:,} rows</span><table><tbody>{rows}</tbody></table></div>"


def _effect(each: Effect) -> str:
    """The mean over the values of a feature, with the band of single rows; values that are no numbers side by side."""
    if any(isinstance(value, str) for value in each.at):
        ends = zip(each.low or each.mean, each.high or each.mean, strict=True)
        rows = [
            Dot(label=str(value), value=mean, low=low, high=high)
            for value, mean, (low, high) in zip(each.at, each.mean, ends, strict=True)
        ]
        return pictures.dots(rows, title=f"{each.kind} of {each.feature}")
    line = Curve(tuple(float(value) for value in each.at), each.mean)
    bands = {each.feature: (each.low, each.high)} if each.low else None
    return pictures.lines(
        {each.feature: line}, title=f"{each.kind} of {each.feature}", x=each.feature, y="prediction", bands=bands
    )


def _curves(found: Evaluation) -> list[tuple[str, str]]:
    """Titles and pictures of what the rows look like."""
    drawn = []
    curves = found.curves
    if "roc" in curves and curves["roc"].x:
        roc = {"roc": curves["roc"]}
        drawn.append(("ROC", pictures.lines(roc, title="ROC curve", x="false positive rate", y="true positive rate",
                                            unit=True, diagonal=True)))  # fmt: skip
    if "precision_recall" in curves and curves["precision_recall"].x:
        line = {"precision": curves["precision_recall"]}
        picture = pictures.lines(line, title="precision and recall", x="recall", y="precision", unit=True)
        drawn.append(("Precision and recall", picture))
    if found.calibration:
        drawn.append(
            (
                "Calibration",
                pictures.calibration(found.calibration, title="calibration", several=found.task == "multiclass"),
            )
        )
    if "predicted" in curves:
        picture = pictures.scatter(curves["predicted"], title="predicted and true", x="predicted", y="true",
                                   diagonal=True)  # fmt: skip
        drawn.append(("Predicted and true", picture))
    if "residuals" in curves:
        drawn.append(("Errors", pictures.columns(curves["residuals"], title="errors", x="predicted less true")))
    if "coverage" in curves:
        line = {"coverage": curves["coverage"]}
        picture = pictures.lines(line, title="coverage of quantiles", x="quantile", y="share at or below", unit=True,
                                 diagonal=True)  # fmt: skip
        drawn.append(("Coverage of quantiles", picture))
    return drawn


def _matrix(found: Evaluation) -> str:
    if found.matrix and len(found.classes) <= _CLASSES:
        return pictures.heat(found.matrix, found.classes, title="confusion matrix")
    cells = found.confusion
    if cells:
        table = [[cells["true_negative"], cells["false_positive"]], [cells["false_negative"], cells["true_positive"]]]
        return pictures.heat(table, ["negative", "positive"], title="confusion matrix")
    return ""


def _slices(found: Evaluation) -> str:
    shown = found.slices[:_SLICES]
    if not shown:
        return ""
    overall = found.metrics.get(found.slice_metric)
    rows = [_dot(f"{each.column} = {each.value}", each.estimate, _slice_note(each), strong=_stands_out(each))
            for each in shown]  # fmt: skip
    return pictures.dots(rows, title=f"{found.slice_metric} by slice", reference=overall.value if overall else None)


def _slice_note(each: Slice) -> str:
    chance = "" if each.q_value is None else f", q {each.q_value:.2g}"
    return f"{each.count:,} rows{chance}"


def _stands_out(each: Slice) -> bool:
    return (each.gap or 0.0) > 0 and each.q_value is not None and each.q_value <= 0.05


def _dot(label: str, found: Estimate, note: str, *, strong: bool = False) -> Dot:
    return Dot(label=label, value=found.value, low=found.low, high=found.high, note=note, strong=strong)


def _horizons(found: Evaluation) -> str:
    if not found.by_horizon:
        return ""
    name = "mase" if all("mase" in each for each in found.by_horizon.values()) else "mae"
    kept = [(float(step), each[name]) for step, each in found.by_horizon.items() if each[name].value is not None]
    line = Curve(tuple(step for step, _ in kept), tuple(each.value or 0.0 for _, each in kept))
    low = [each.value or 0.0 if each.low is None else each.low for _, each in kept]
    high = [each.value or 0.0 if each.high is None else each.high for _, each in kept]
    return pictures.lines({name: line}, title=f"{name} by horizon", x="steps ahead", y=name, bands={name: (low, high)})


def _fairness(report: EvaluationReport) -> list[tuple[str, str]]:
    """A picture of each rate by group, with the value on all rows."""
    found = report.fairness
    if found is None:
        return []
    drawn = []
    for name in ("selection_rate", "true_positive_rate", "false_positive_rate"):
        rows = [
            _dot(" / ".join(each.values), each.metrics[name],
                 f"{each.count:,} rows{', too few to count' if each.small else ''}")
            for each in found.groups[:_GROUPS]
        ]  # fmt: skip
        drawn.append((name.replace("_", " "), pictures.dots(rows, title=name, reference=found.overall[name].value)))
    return drawn


def _importances(found: Sequence[Importance]) -> str:
    ranked = sorted(found, key=lambda each: -each.importance)[:_FEATURES]
    if not ranked:
        return ""
    return pictures.bars(
        [(each.feature, each.importance, each.standard_error or 0.0) for each in ranked], title="importance of features"
    )


def _swarm(found: Explanation | None) -> str:
    if found is None:
        return ""
    rows = []
    for each in found.importances[:_FEATURES]:
        at = found.features.index(each.feature)
        held = [row[at] for row in found.data]
        known = sorted(value for value in held if isinstance(value, float))
        rank = {value: place / max(len(known) - 1, 1) for place, value in enumerate(known)}
        points = [
            (row[at], rank[value] if isinstance(value, float) else None)
            for row, value in zip(found.values, held, strict=True)
        ]
        rows.append((each.feature, points))
    return pictures.beeswarm(rows, title="contributions of features")


def _falls(found: Robustness | None) -> list[tuple[str, str, bool]]:
    """A picture of each kind of trouble, and whether it is wide: single columns as values, all others as a curve."""
    if found is None:
        return []
    drawn = []
    for name in dict.fromkeys(each.perturbation for each in found.falls):
        mine = [each for each in found.falls if each.perturbation == name]
        kept = [(each, each.change) for each in mine if each.change is not None and each.change.candidate is not None]
        curve = len({each.columns for each in mine}) == 1 and len(kept) > 1
        if curve:
            clean = found.clean
            line = Curve(tuple(each.level for each, _ in kept), tuple(change.candidate or 0.0 for _, change in kept))
            low = [clean + (change.low or 0.0) for _, change in kept]
            high = [clean + (change.high or 0.0) for _, change in kept]
            picture = pictures.lines({name: line}, title=f"{found.metric} under {name}", x=name, y=found.metric,
                                     bands={name: (low, high)})  # fmt: skip
        elif kept:
            worst = sorted(kept, key=lambda pair: -abs(pair[1].difference or 0.0))[:_FEATURES]
            rows = [
                Dot(label=f"{each.columns[0]} × {each.level:g}", value=change.candidate,
                    low=found.clean + (change.low or 0.0), high=found.clean + (change.high or 0.0))
                for each, change in worst
            ]  # fmt: skip
            picture = pictures.dots(rows, title=f"{found.metric} under {name}", reference=found.clean)
        else:
            picture = ""
        drawn.append((name, picture, not curve))
    return drawn


@functools.cache
def _template() -> Template:
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath("evaluation.html").read_text(encoding="utf-8"))
