"""The model families that the demo tries, as scikit-learn pipelines that take the named columns as they are.

scikit-learn is imported at the top, so that the process from which a flow's workers are forked loads it once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from mainspring.demo.flights import INPUTS
from mainspring.kernel.errors import NotFound, nearest

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FAMILIES", "fit", "score"]

FAMILIES = ("logistic", "forest", "boosting")
"""What is tried, from the plainest to the most flexible."""

_TEXTS = ["carrier", "origin"]
_NUMBERS = [name for name in INPUTS if name not in _TEXTS]


def fit(family: str, rows: pl.DataFrame, labels: pl.Series, *, seed: int, params: dict[str, Any] | None = None) -> Any:
    """A fitted pipeline of a family.

    Args:
        family: One of `FAMILIES`.
        rows: Has the columns `INPUTS`; missing values are allowed.
        labels: 0 and 1.
        seed: Of whatever the family draws by chance.
        params: Overrides of its own parameters.
    """
    model = _pipeline(family, seed, params or {})
    # One thread: on a machine that does something else too, the threads of OpenMP wait for each other many times a
    # round.
    with threadpool_limits(1):
        model.fit(rows.select(INPUTS), labels.to_numpy())
    return model


def score(model: Any, rows: pl.DataFrame) -> Any:
    """The probability of being late, for each row."""
    return model.predict_proba(rows.select(INPUTS))[:, 1]


def _pipeline(family: str, seed: int, params: dict[str, Any]) -> Any:
    if family == "logistic":
        numbers = make_pipeline(SimpleImputer(), StandardScaler())
        texts: Any = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        learner: Any = LogisticRegression(**{"solver": "newton-cholesky", "C": 0.5, **params})
    elif family == "forest":
        numbers = SimpleImputer()
        texts = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        learner = RandomForestClassifier(
            **{"n_estimators": 40, "max_depth": 10, "max_samples": 0.3, "n_jobs": 1, "random_state": seed, **params}
        )
    elif family == "boosting":
        numbers = "passthrough"
        texts = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        learner = HistGradientBoostingClassifier(
            **{"max_iter": 80, "learning_rate": 0.1, "random_state": seed, **params}
        )
    else:
        raise NotFound(f"there is no model family {family!r}", known=nearest(family, FAMILIES))
    return make_pipeline(ColumnTransformer([("numbers", numbers, _NUMBERS), ("texts", texts, _TEXTS)]), learner)
