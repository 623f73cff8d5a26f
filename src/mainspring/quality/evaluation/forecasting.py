"""Evaluating forecasts: errors in units of the series' own jumps, by horizon, from many origins.

Errors of one origin go together, and so do neighbours in time, so intervals draw whole origins; without origins, whole
series when there are twenty, otherwise blocks of consecutive rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.evaluation.arrays import codes_of, numbers_of, numpy, same_length, weights_of
from mainspring.quality.evaluation.bootstrap import Measure, Resampling, Units, bootstrap_all
from mainspring.quality.evaluation.types import Curve, Estimate, Evaluation

if TYPE_CHECKING:
    import polars as pl

    from mainspring.quality.evaluation.arrays import Floats

__all__ = ["backtest", "evaluate_forecast"]

_SERIES = 20


def evaluate_forecast(
    labels: Any,
    predictions: Any,
    *,
    horizons: Any = None,
    origins: Any = None,
    series: Any = None,
    history: Any = None,
    season: int = 1,
    weights: Any = None,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
    model: str = "",
    dataset: str = "",
) -> Evaluation:
    """Evaluate forecasts against what came.

    Gives `mae`, `rmse`, `bias`, `relative_bias` (the sum of errors over the sum of what came), `wape` (absolute errors
    likewise), `smape` (twice the error over the sum of both, 0 to 2, as in the M4 competition), `mape` where nothing is
    0, and with `history` `mase` and `rmsse` (Hyndman and Koehler 2006): errors over those of repeating the value of a
    season before, in the history.

    Args:
        labels: What came, one per row, in the order of time.
        predictions: What was forecast.
        horizons: How many steps ahead each row was forecast; each gets metrics of its own in `by_horizon`.
        origins: When each row was forecast.
        series: Which series each row belongs to.
        history: The values before the forecasts: a list, or lists by series.
        season: The length of a season in steps, for `mase` and `rmsse`.
        weights: How much each row counts.
        confidence: Of every interval.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.
        model: What to call the model in the report.
        dataset: What to call the rows in the report.

    Example:
        >>> found = evaluate_forecast([12.0, 13.0], [11.0, 15.0], history=[10.0, 11.0, 10.0, 11.0])
        >>> found["mase"].value, found["wape"].value
        (1.5, 0.12)
    """
    np = numpy()
    truth, said = numbers_of(labels, what="labels"), numbers_of(predictions, what="predictions")
    rows = same_length(labels=truth, predictions=said)
    weight = weights_of(weights, rows=rows)
    mass = np.ones(rows) if weight is None else weight
    places, names = (np.zeros(rows, dtype=np.int64), [None]) if series is None else codes_of(
        series, what="series", rows=rows
    )  # fmt: skip
    scales = None if history is None else _scales(history, names, season)
    columns = _columns(truth, said, None if scales is None else (scales[0][places], scales[1][places]))
    steps = None if horizons is None else numbers_of(horizons, what="horizons")
    if steps is not None and (steps.size != rows or (steps < 1).any()):
        raise InvalidInput("horizons are at least 1, one for each row")
    drawn = _drawn(rows, origins, series, steps)
    how = Resampling(confidence=confidence, replicates=replicates, seed=seed)
    metrics = _estimates(columns, mass, drawn, how)
    by_horizon: dict[str, dict[str, Estimate]] = {}
    curves: dict[str, Curve] = {}
    if steps is not None:
        known = np.unique(steps)
        for step in known:
            some = steps == step
            part = {name: each[some] for name, each in columns.items()}
            by_horizon[f"{step:g}"] = _estimates(part, mass[some], drawn[some], how)
        line = [each["mae"].value or 0.0 for each in by_horizon.values()]
        curves["mae_by_horizon"] = Curve(tuple(known.tolist()), tuple(line))
    return Evaluation(
        task="forecast", count=rows, metrics=metrics, confidence=confidence, by_horizon=by_horizon, curves=curves,
        weighted=weight is not None, model=model, dataset=dataset,
    )  # fmt: skip


def _scales(history: Any, names: list[Any], season: int) -> tuple[Floats, Floats]:
    """Of each series the mean absolute and the mean squared jump over a season."""
    np = numpy()
    if season < 1:
        raise InvalidInput(f"a season has at least one step, not {season}")
    found = []
    for name in names:
        known = history if not isinstance(history, Mapping) else history.get(name)
        if known is None:
            raise InvalidInput(f"there is no history of series {name!r}", known=list(map(str, history))[:9])
        values = numbers_of(known, what=f"history of {name!r}" if name is not None else "history")
        if values.size <= season:
            raise InvalidInput(f"a history of {values.size} steps is too short for a season of {season}")
        jumps = values[season:] - values[:-season]
        if not jumps.any():
            raise InvalidInput("the history never changes, so that no error can be scaled by it")
        found.append((float(np.abs(jumps).mean()), float((jumps**2).mean())))
    return np.array([each[0] for each in found]), np.array([each[1] for each in found])


def _columns(truth: Floats, said: Floats, scales: tuple[Floats, Floats] | None) -> dict[str, Floats]:
    np = numpy()
    error = said - truth
    both = np.abs(said) + np.abs(truth)
    columns = {
        "error": error,
        "absolute": np.abs(error),
        "square": error**2,
        "size": np.abs(truth),
        "came": truth,
        "smape": np.where(both > 0, 2 * np.abs(error) / np.where(both > 0, both, 1), 0.0),
    }
    if (truth != 0).all():
        columns["mape"] = np.abs(error / truth)
    if scales is not None:
        columns |= {"mase": np.abs(error) / scales[0], "rmsse": error**2 / scales[1]}
    return columns


def _drawn(rows: int, origins: Any, series: Any, steps: Floats | None) -> Any:
    """For each row the number of what is drawn with it."""
    np = numpy()
    if origins is not None:
        return codes_of(origins, what="origins", rows=rows)[0]
    if series is not None:
        codes, names = codes_of(series, what="series", rows=rows)
        if len(names) >= _SERIES:
            return codes
    length = max(round(rows ** (1 / 3)), 1 if steps is None else int(steps.max()))
    return np.arange(rows) // max(1, min(length, rows // 8))


def _estimates(columns: Mapping[str, Floats], mass: Floats, drawn: Any, how: Resampling) -> dict[str, Estimate]:
    np = numpy()
    size = int(drawn.max()) + 1
    total = np.bincount(drawn, mass, size)
    sums = {name: np.bincount(drawn, mass * each, size) for name, each in columns.items()}
    kept = total > 0
    total, sums = total[kept], {name: each[kept] for name, each in sums.items()}

    def mean(name: str) -> Measure:
        return lambda w: w @ sums[name] / (w @ total)

    def root(name: str) -> Measure:
        return lambda w: np.sqrt(w @ sums[name] / (w @ total))

    def ratio(above: str, below: str) -> Measure:
        return lambda w: w @ sums[above] / (w @ sums[below])

    measures: dict[str, Measure] = {
        "mae": mean("absolute"),
        "rmse": root("square"),
        "bias": mean("error"),
        "wape": ratio("absolute", "size"),
        "relative_bias": ratio("error", "came"),
        "smape": mean("smape"),
    }
    for name in ("mape", "mase"):
        if name in sums:
            measures[name] = mean(name)
    if "rmsse" in sums:
        measures["rmsse"] = root("rmsse")
    units = Units(np.ones(total.size))
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = {name: float(measure(units.weight)) for name, measure in measures.items()}
    values = {name: value if math.isfinite(value) else None for name, value in seen.items()}
    limits = {name: (0.0, math.inf) for name in measures if "bias" not in name}
    return bootstrap_all(measures, units, values, how, limits=limits)


def backtest(
    values: Any,
    forecast: Callable[[Floats, int], Any],
    *,
    initial: int,
    horizon: int,
    step: int = 1,
    window: int | None = None,
) -> pl.DataFrame:
    """Forecast a series again and again from later origins, each time knowing only what came before.

    Args:
        values: The series, in the order of time.
        forecast: Takes the values known at an origin and a number of steps, and returns so many forecasts.
        initial: How many values the first origin knows.
        horizon: How many steps ahead is forecast.
        step: How far the origin moves.
        window: How many of the newest values are given; all by default.

    Returns:
        `origin`, `horizon`, `label`, `prediction`: what `evaluate_forecast` takes. Steps beyond the series' end are
        left out.

    Example:
        >>> found = backtest([1.0, 2.0, 3.0, 4.0], lambda known, steps: [known[-1]] * steps, initial=2, horizon=2)
        >>> found.rows()
        [(2, 1, 3.0, 2.0), (2, 2, 4.0, 2.0), (3, 1, 4.0, 3.0)]
    """
    import polars as pl

    known = numbers_of(values, what="values")
    if not 1 <= initial < known.size or horizon < 1 or step < 1 or (window is not None and window < 1):
        raise InvalidInput(
            f"{known.size} values cannot be forecast from {initial} on, {horizon} ahead in steps of {step}"
        )
    rows: list[tuple[int, int, float, float]] = []
    for origin in range(initial, known.size, step):
        ahead = min(horizon, known.size - origin)
        given = numbers_of(
            forecast(known[max(0, origin - window) if window else 0 : origin], horizon), what="forecasts"
        )
        if given.size != horizon:
            raise InvalidInput(f"forecast returned {given.size} values for {horizon} steps")
        rows += [(origin, at + 1, float(known[origin + at]), float(given[at])) for at in range(ahead)]
    return pl.DataFrame(rows, schema=["origin", "horizon", "label", "prediction"], orient="row")
