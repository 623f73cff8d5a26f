"""Why a model answers as it does: Shapley values by the shap library (Lundberg and Lee 2017), kept as plain numbers.

Trees are explained exactly and quickly; any other model by permutations of its features against a background of rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput, MissingDependency, NotFound, nearest
from mainspring.quality.evaluation.arrays import numpy
from mainspring.quality.evaluation.types import Curve, Importance

if TYPE_CHECKING:
    from types import ModuleType

    import polars as pl

__all__ = ["Contribution", "Explanation", "explain"]

_TREES = ("lightgbm", "xgboost", "catboost", "sklearn.ensemble", "sklearn.tree")
_KEPT = 200  # rows whose values are kept; a picture shows no more


class Contribution(msgspec.Struct, frozen=True):
    """What a feature's value adds to one answer."""

    feature: str
    value: str
    contribution: float


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Shapley values of some rows: `values` rows by features, `data` the features as they were.

    `base` and the values of a row sum to the model's answer for it, in the model's own output (for boosted trees,
    the logit). `importances` are mean absolute values over all `rows`; `values` has at most two hundred of them.
    """

    method: str
    features: tuple[str, ...]
    base: float
    rows: int
    importances: tuple[Importance, ...]
    values: tuple[tuple[float, ...], ...]
    data: tuple[tuple[float | str | None, ...], ...]

    def row(self, place: int) -> list[Contribution]:
        """What made the answer for one of the kept rows, the greatest first."""
        if not 0 <= place < len(self.values):
            raise NotFound(f"there is no row {place} among the {len(self.values)} kept ones")
        parts = [
            Contribution(name, "missing" if held is None else f"{held:.6g}" if isinstance(held, float) else held, value)
            for name, held, value in zip(self.features, self.data[place], self.values[place], strict=True)
        ]
        return sorted(parts, key=lambda each: -abs(each.contribution))

    def dependence(self, feature: str) -> Curve:
        """The value of a feature of numbers (`x`) and its contribution (`y`) in each kept row, by value."""
        if feature not in self.features:
            raise NotFound(f"there is no feature {feature!r}", known=nearest(feature, self.features))
        at = self.features.index(feature)
        pairs = sorted(
            (float(held[at]), values[at])  # type: ignore[arg-type]  # only numbers are left
            for held, values in zip(self.data, self.values, strict=True)
            if isinstance(held[at], float)
        )
        return Curve(tuple(x for x, _ in pairs), tuple(y for _, y in pairs))


def explain(
    model: Any,
    frame: pl.DataFrame,
    *,
    method: Literal["auto", "tree", "permutation"] = "auto",
    background: pl.DataFrame | None = None,
    output: int = -1,
    rows: int = 500,
    seed: int = 0,
) -> Explanation:
    """Explain the answers of a model for some rows.

    Args:
        model: A trained model of trees (LightGBM, XGBoost, CatBoost, scikit-learn), or a function that takes a frame
            like `frame` and returns one score per row.
        frame: The features, as a polars DataFrame, in the order the model was trained on.
        method: `tree`, `permutation`, or whichever fits.
        background: Rows that stand for "nothing known", for permutations; a hundred of `frame` by default.
        output: Which class's output, where a model has one for each.
        rows: At most so many rows, drawn at random, are explained.
        seed: Of everything that is drawn.

    Raises:
        MissingDependency: shap is not installed.
        InvalidInput: The method does not fit the model.
    """
    if not frame.height or not frame.width:
        raise InvalidInput("there are no rows to explain")
    if method not in {"auto", "tree", "permutation"}:
        raise InvalidInput(f"{method!r} is not a method", known=["auto", "tree", "permutation"])
    shap = _shap()
    some = frame if frame.height <= rows else frame.sample(rows, seed=seed)
    tree = any(type(model).__module__.startswith(each) for each in _TREES)
    if method == "tree" and not tree:
        raise InvalidInput(f"{type(model).__qualname__} is not a model of trees", hint="method='permutation'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shap warns of its own plans
        if tree and method != "permutation":
            name, (base, values) = "tree", _by_tree(shap, model, some, output)
        else:
            name, (base, values) = "permutation", _by_permutation(shap, model, some, background, seed)
    return _kept(name, some, base, values)


def _shap() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import shap
    except ImportError:
        raise MissingDependency("shap", extra="evaluate") from None
    return shap  # type: ignore[no-any-return]


def _by_tree(shap: ModuleType, model: Any, frame: pl.DataFrame, output: int) -> tuple[float, Any]:
    np = numpy()
    import polars as pl

    try:
        table = frame.select(pl.all().cast(pl.Float64)).to_numpy()
    except pl.exceptions.PolarsError as problem:
        raise InvalidInput(f"a model of trees is explained on numbers: {problem}", hint="explain a function") from None
    explainer = shap.TreeExplainer(model)
    values = np.asarray(explainer.shap_values(table, check_additivity=False), dtype=float)
    base = np.atleast_1d(np.asarray(explainer.expected_value, dtype=float))
    if values.ndim == 3:
        axis = 2 if values.shape[2] == base.size and values.shape[0] == frame.height else 0
        values = np.take(values, output, axis=axis)
    return float(base[output if base.size > 1 else 0]), values


def _by_permutation(
    shap: ModuleType, model: Any, frame: pl.DataFrame, background: pl.DataFrame | None, seed: int
) -> tuple[float, Any]:
    np = numpy()
    predict = model if callable(model) else getattr(model, "predict", None)
    if predict is None:
        raise InvalidInput(f"{type(model).__qualname__} is neither a function nor has predict")
    known = frame if background is None else background.select(frame.columns)
    known = known if known.height <= 100 else known.sample(100, seed=seed)
    encode, decode = _codes(frame, known)

    def answer(table: Any) -> Any:
        return np.asarray(predict(decode(np.asarray(table, dtype=float))), dtype=float)

    masker = shap.maskers.Independent(encode(known), max_samples=known.height)
    explainer = shap.PermutationExplainer(answer, masker, seed=seed)
    found = explainer(encode(frame), max_evals=max(2 * frame.width + 1, 10 * frame.width), silent=True)
    return float(np.mean(found.base_values)), np.asarray(found.values, dtype=float)


def _codes(frame: pl.DataFrame, known: pl.DataFrame) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Frames as matrices of numbers and back: what is no number becomes the place of its value."""
    import polars as pl

    np = numpy()
    values: dict[str, pl.Series] = {}
    for name in frame.columns:
        if not frame.get_column(name).dtype.is_numeric():
            values[name] = pl.concat([frame.get_column(name), known.get_column(name)]).drop_nulls().unique().sort()

    def encode(table: pl.DataFrame) -> Any:
        columns = []
        for name in table.columns:
            column = table.get_column(name)
            if name in values:
                spots = {value: float(at) for at, value in enumerate(values[name].to_list())}
                column = column.replace_strict(spots, default=None, return_dtype=pl.Float64)
            columns.append(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())
        return np.stack(columns, axis=1)

    def decode(matrix: Any) -> pl.DataFrame:
        columns = []
        for at, name in enumerate(frame.columns):
            column = pl.Series(name, matrix[:, at]).fill_nan(None)
            if name in values:
                column = values[name].gather(column.cast(pl.UInt32)).alias(name)
            columns.append(column.cast(frame.schema[name]))
        return pl.DataFrame(columns)

    return encode, decode


def _kept(method: str, frame: pl.DataFrame, base: float, values: Any) -> Explanation:
    np = numpy()
    size = np.abs(values)
    error = size.std(axis=0, ddof=1) / np.sqrt(frame.height) if frame.height > 1 else None
    ranked = sorted(
        (
            Importance(name, float(size[:, at].mean()), None if error is None else float(error[at]))
            for at, name in enumerate(frame.columns)
        ),
        key=lambda each: -each.importance,
    )
    return Explanation(
        method=method,
        features=tuple(frame.columns),
        base=base,
        rows=frame.height,
        importances=tuple(ranked),
        values=tuple(tuple(row) for row in values[:_KEPT].tolist()),
        data=tuple(tuple(_plain(held) for held in row) for row in frame.head(_KEPT).rows()),
    )


def _plain(held: Any) -> float | str | None:
    if held is None:
        return None
    if isinstance(held, bool) or not isinstance(held, int | float):
        return str(held)
    return float(held)
