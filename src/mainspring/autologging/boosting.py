"""What the three libraries of boosted trees have in common: figures of an iteration, importances of features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mainspring.autologging.sessions import Session

__all__ = ["last_values", "log_importances", "own_params"]


def last_values(history: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The newest figure of each metric of each data set: `{"valid": {"auc": [.7, .8]}}` gives `{"valid/auc": .8}`."""
    found = {}
    for data, metrics in history.items():
        for name, values in metrics.items():
            if len(values):
                newest = values[-1]
                found[f"{data}/{name}"] = newest[0] if isinstance(newest, tuple) else newest
    return found


def log_importances(session: Session, columns: Iterable[str], **importances: Iterable[float]) -> None:
    """A table of the features, the most important first."""
    names = list(columns)
    lists = {kind: [float(value) for value in values] for kind, values in importances.items()}
    rows = [{"feature": str(name)} | {kind: lists[kind][place] for kind in lists} for place, name in enumerate(names)]
    first = next(iter(lists))
    if rows:
        session.table(sorted(rows, key=lambda row: -float(row[first])), "feature_importance")


def own_params(estimator: Any) -> dict[str, Any]:
    """The parameters of an estimator that were set: those with another value than None."""
    return {name: value for name, value in estimator.get_params().items() if value is not None}
