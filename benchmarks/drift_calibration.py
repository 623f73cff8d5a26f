"""How often is nothing called drift, and how often is something: the tables of `docs/concepts/drift-calibration.md`.

    python benchmarks/drift_calibration.py            2,000 draws for every size, about half an hour on two cores
    python benchmarks/drift_calibration.py --draws 200
    python benchmarks/drift_calibration.py --page     puts what it finds into the page

Both samples are drawn from one law, and the share of draws that are flagged is counted: by the p-value of the default
rules at 5 %, by their verdicts, and by the test that Evidently's rules choose. Samples of more than 20,000 rows are
drawn, like what they are compared with, as counts over 20,000 atoms at the quantiles of the law: from the law that
those make.
Evidently's figures are those of its rules as `rules="evidently"` has them, which the tests hold to its own answers.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from mainspring.quality.drift.columns import compare_column
from mainspring.quality.drift.methods import score_columns
from mainspring.quality.drift.types import ColumnDrift, DriftLimits
from mainspring.quality.profiles.build import profile_frame
from mainspring.quality.profiles.columns import sketch_of_runs
from mainspring.quality.profiles.types import ColumnProfile
from mainspring.quality.profiles.values import frequent_of

__all__ = ["LAWS", "SIZES", "Rate", "drawn", "rate"]

SIZES = (50, 100, 200, 500, 1_000, 10_000, 100_000, 1_000_000)
ATOMS = 20_000
RESULTS = Path(__file__).resolve().parent.parent / "build" / "bench" / "drift-calibration.json"

PAGE = Path(__file__).resolve().parent.parent / "docs" / "concepts" / "drift-calibration.md"

Quantiles = Callable[[np.ndarray], np.ndarray]


def _normal(shares: np.ndarray) -> np.ndarray:
    from scipy import stats

    return stats.norm.ppf(shares)


@dataclass(frozen=True)
class Law:
    """What is drawn from: a quantile function, or shares of values."""

    quantiles: Quantiles | None = None
    shares: tuple[float, ...] = ()
    categories: bool = False


def _zipf(count: int) -> tuple[float, ...]:
    weights = [1 / (k + 1) for k in range(count)]
    return tuple(weight / sum(weights) for weight in weights)


LAWS = {
    "normal": Law(_normal),
    "lognormal": Law(lambda u: np.exp(_normal(u))),
    "heavy tail": Law(lambda u: (1 - u) ** -2.0),
    "15 integers": Law(shares=(1 / 15,) * 15),
    "mostly zero": Law(shares=(0.8, *((0.2 / 40,) * 40))),
    "5 categories": Law(shares=(0.4, 0.3, 0.15, 0.1, 0.05), categories=True),
    "30 categories, Zipf": Law(shares=_zipf(30), categories=True),
    "yes or no, 10 %": Law(shares=(0.9, 0.1), categories=True),
}


@dataclass(frozen=True)
class Rate:
    """The share of draws that were flagged."""

    law: str
    n: int
    m: int
    draws: int
    significant: float
    """By the p-value of the default rules, at 5 %."""
    drift: float
    """By the default verdict: `drift`."""
    warn: float
    """By the default verdict: `drift` or `warn`."""
    evidently: float
    """By the test that Evidently's rules choose."""


def drawn(law: Law, size: int, draw: np.random.Generator, *, shift: float = 0.0, atoms: bool = False) -> pl.Series:
    """A sample; `shift` moves a quantile law by so much, and shares from the last value to the first."""
    if law.quantiles is not None:
        if atoms or size > ATOMS:
            places = (np.arange(ATOMS) + 0.5) / ATOMS
            counts = draw.multinomial(size, np.full(ATOMS, 1 / ATOMS))
            return pl.Series("x", np.repeat(law.quantiles(places) + shift, counts))
        return pl.Series("x", law.quantiles(draw.random(size)) + shift)
    shares = np.array(law.shares)
    shares[0] += min(shift, 1 - shares[0])
    counts = draw.multinomial(size, shares / shares.sum())
    values = np.repeat(np.arange(len(shares)), counts)
    return pl.Series("x", values).cast(pl.String) if law.categories else pl.Series("x", values.astype(float))


def profile(
    law: Law, size: int, draw: np.random.Generator, *, shift: float = 0.0, atoms: bool = False
) -> ColumnProfile:
    """The profile of a sample; with `atoms` straight from the counts of its values, which large samples need."""
    if not atoms:
        return profile_frame(drawn(law, size, draw, shift=shift).to_frame(), correlations=False).columns[0]
    if law.quantiles is not None:
        values = law.quantiles((np.arange(ATOMS) + 0.5) / ATOMS) + shift
        counts = draw.multinomial(size, np.full(ATOMS, 1 / ATOMS))
    else:
        shares = np.array(law.shares)
        shares[0] += min(shift, 1 - shares[0])
        values, counts = np.arange(len(shares)), draw.multinomial(size, shares / shares.sum())
    if law.categories:
        frequent = frequent_of({str(value): int(count) for value, count in zip(values, counts, strict=True) if count})
        return ColumnProfile(name="x", family="text", dtype="String", count=size, frequent=frequent)
    bits = values.astype(float).view(np.int64)
    runs = pl.DataFrame({"value": np.where(bits >= 0, bits, bits ^ 0x7FFF_FFFF_FFFF_FFFF), "len": counts})
    sketch = sketch_of_runs(runs.filter(pl.col("len") > 0), size)
    return ColumnProfile(name="x", family="number", dtype="Float64", count=size, sketch=sketch)


def verdict(found: ColumnDrift, limits: DriftLimits) -> str:
    """What the report would say of a table of this column alone."""
    if found.verdict != "ok" or found.p_value > limits.q or found.effect < limits.warn:
        return found.verdict
    return "drift" if found.effect >= limits.drift else "warn"


def evidently(law: Law, n: int, m: int, draw: np.random.Generator, *, shift: float = 0.0) -> bool:
    """Whether the test flags that Evidently's rules choose."""
    values = 5 if law.quantiles is not None else len(law.shares)
    numeric = not law.categories
    few = law.quantiles is None and values <= 5
    if n <= 1000:
        name = "z" if few and values == 2 else "chisquare" if not numeric or few else "ks"
    else:
        name = "wasserstein" if numeric and not few else "jensenshannon"
    atoms = max(n, m) > ATOMS
    one, two = drawn(law, n, draw, atoms=atoms), drawn(law, m, draw, shift=shift, atoms=atoms)
    return score_columns(name, one, two, kind="num" if numeric else "cat").drifted


def rate(name: str, n: int, m: int, draws: int, *, shift: float = 0.0, beside: bool = True) -> Rate:
    """The share of draws that are flagged."""
    law, limits = LAWS[name], DriftLimits()
    draw = np.random.default_rng([n, m, len(name), round(shift * 1000)])
    counts = {"significant": 0, "drift": 0, "warn": 0, "evidently": 0}
    theirs = min(draws, 40 if max(n, m) > 10_000 else 400) if beside else 0  # theirs read every row
    atoms = max(n, m) >= ATOMS  # of both, so that both are of one law
    for turn in range(draws):
        one, two = profile(law, n, draw, atoms=atoms), profile(law, m, draw, shift=shift, atoms=atoms)
        found = compare_column(one, two, limits, None)
        said = verdict(found, limits)
        counts["significant"] += found.p_value <= limits.q
        counts["drift"] += said == "drift"
        counts["warn"] += said in {"warn", "drift"}
        counts["evidently"] += turn < theirs and evidently(law, n, m, draw, shift=shift)
    shares = {key: count / draws for key, count in counts.items()}
    shares["evidently"] = counts["evidently"] / theirs if theirs else math.nan
    return Rate(name, n, m, draws, **shares)


def sizes() -> Iterator[tuple[int, int]]:
    """Reference and current rows: equal, and a large reference with a small current sample."""
    for size in SIZES:
        yield size, size
    for size in (50, 100, 500, 10_000):
        yield 10_000 if size < 10_000 else 1_000_000, size


def _work(task: tuple[str, int, int, int, float]) -> Rate:
    name, n, m, draws, shift = task
    return rate(name, n, m, draws, shift=shift)


def null_table(rows: list[dict[str, object]]) -> str:
    """The rows without a shift as a table in Markdown: for each size and law, p / verdict / Evidently in per cent."""
    kept = {(row["n"], row["m"], row["law"]): row for row in rows if not row["shift"]}
    lines = [f"| reference | current | {' | '.join(LAWS)} |", "|--:|--:|" + "--:|" * len(LAWS)]
    for n, m in dict.fromkeys((n, m) for n, m, _ in kept):
        cells = [_cell(kept.get((n, m, law))) for law in LAWS]
        lines.append(f"| {n:,} | {m:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def power_table(rows: list[dict[str, object]]) -> str:
    """The rows with a shift as a table in Markdown."""
    lines = ["| law | shift | rows | p | `drift` | `warn` or `drift` | Evidently |", "|---|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        if row["shift"]:
            shares = " | ".join(_percent(row[key]) for key in ("significant", "drift", "warn", "evidently"))
            lines.append(f"| {row['law']} | {row['shift']} | {row['n']:,} | {shares} |")
    return "\n".join(lines)


def _cell(row: dict[str, object] | None) -> str:
    return "" if row is None else " / ".join(_percent(row[key]) for key in ("significant", "warn", "evidently"))


def _percent(share: object) -> str:
    return "·" if not isinstance(share, float) or math.isnan(share) else f"{100 * share:.3g}"


def write_page(rows: list[dict[str, object]]) -> None:
    """Put both tables into the page, between the marks that stand there."""
    text = PAGE.read_text("utf-8")
    for mark, table in (("null", null_table(rows)), ("power", power_table(rows))):
        before, _, rest = text.partition(f"<!-- {mark} -->")
        after = rest.partition(f"<!-- end of {mark} -->")[2]
        text = f"{before}<!-- {mark} -->\n\n{table}\n\n<!-- end of {mark} -->{after}"
    PAGE.write_text(text, "utf-8")


def main() -> None:
    """Draw, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--page", action="store_true", help="write the tables into the page")
    arguments = parser.parse_args()
    null = [(name, n, m, arguments.draws, 0.0) for n, m in sizes() for name in LAWS]
    power = [
        (name, n, n, max(arguments.draws // 10, 50), shift)
        for name, shifts in {"normal": (0.01, 0.1, 0.3, 1.0), "5 categories": (0.01, 0.05, 0.2, 0.6)}.items()
        for shift in shifts
        for n in (100, 500, 10_000, 100_000)
    ]
    start = time.perf_counter()
    tasks = [*null, *power]
    rows = []
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    print(f"{'law':22}{'n':>9}{'m':>9}{'shift':>7}{'p<=5%':>8}{'drift':>8}{'warn+':>8}{'Evidently':>11}", flush=True)
    with ProcessPoolExecutor(arguments.processes) as pool:
        for task, each in zip(tasks, pool.map(_work, tasks, chunksize=1), strict=True):
            row = asdict(each) | {"shift": task[4]}
            rows.append(row)
            shares = f"{row['significant']:8.1%}{row['drift']:8.1%}{row['warn']:8.1%}{row['evidently']:11.1%}"
            print(f"{row['law']:22}{row['n']:>9,}{row['m']:>9,}{row['shift']:>7}{shares}", flush=True)
            RESULTS.write_text(json.dumps({"draws": arguments.draws, "rows": rows}, indent=1) + "\n", "utf-8")
    if arguments.page:
        write_page(rows)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
