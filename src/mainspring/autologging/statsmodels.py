"""statsmodels: every model's `fit`."""

from __future__ import annotations

from collections.abc import Generator
from types import ModuleType
from typing import Any

from mainspring.autologging.patches import Call, Patches
from mainspring.autologging.sessions import Session

__all__ = ["StatsmodelsLogger"]

_FIGURES = (
    "aic", "bic", "hqic", "llf", "llnull", "rsquared", "rsquared_adj", "prsquared", "fvalue", "f_pvalue", "llr_pvalue",
    "mse_model", "mse_resid", "mse_total", "ssr", "ess", "scale", "condition_number", "deviance", "pearson_chi2",
    "nobs", "df_model", "df_resid",
)  # fmt: skip


class StatsmodelsLogger:
    """The model, how it was fitted, the figures of the fit, the coefficients as a table, the summary.

    The object itself is not kept: its only form is pickle.
    """

    modules = ("statsmodels.base.model",)

    def install(self, module: ModuleType, patches: Patches) -> None:
        """Wrap `fit` of every model."""
        patches.family(module.Model, "fit", self.fit)

    def fit(self, session: Session, call: Call) -> Generator[None, Any, None]:
        """One fit."""
        model = call.owner
        session.tags(estimator=type(model).__name__, rows=getattr(model, "nobs", None) or len(model.endog))
        given = _given(call)
        session.params({name: value for name, value in given.items() if isinstance(value, bool | int | float | str)})
        session.params({"formula": model.formula} if getattr(model, "formula", None) else {})
        session.params({"family": model.family} if getattr(model, "family", None) is not None else {})
        results = yield
        found = {}
        for name in _FIGURES:
            with session.safely():
                found[name] = getattr(results, name, None)
        session.log({name: value for name, value in found.items() if getattr(value, "ndim", 0) == 0})
        with session.safely():
            session.table(_coefficients(results, model), "coefficients")
        with session.safely():
            session.text(str(results.summary()), "summary.txt")


def _given(call: Call) -> dict[str, Any]:
    found = call.given()
    found.pop("self", None)
    for name in [name for name, value in found.items() if isinstance(value, dict)]:
        found.update(found.pop(name))
    return found


def _coefficients(results: Any, model: Any) -> list[dict[str, Any]]:
    import numpy as np

    values = np.asarray(results.params).ravel()
    index = getattr(results.params, "index", None)
    names = list(model.exog_names if index is None else index)[: len(values)]
    columns = {"coefficient": values}
    for name, shown in (("bse", "error"), ("tvalues", "t"), ("pvalues", "p")):
        column = getattr(results, name, None)
        if column is not None and np.asarray(column).size == len(values):
            columns[shown] = np.asarray(column).ravel()
    limits = np.asarray(results.conf_int())
    if limits.shape == (len(values), 2):
        columns |= {"low": limits[:, 0], "high": limits[:, 1]}
    return [
        {"name": str(name)} | {shown: float(column[place]) for shown, column in columns.items()}
        for place, name in enumerate(names)
    ]
