"""`mainspring profile`, `mainspring drift`, `mainspring quarantine` and `mainspring anomaly`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mainspring.cli.check import source_of, suite_of
from mainspring.cli.output import echo_json, json_option, show_fields, show_table, store_options, use_client
from mainspring.kernel.clock import from_micros
from mainspring.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from mainspring.quality.drift.frames import Rules

__all__ = ["anomaly", "drift", "profile", "quarantine"]


@click.command()
@click.argument("dataset")
@json_option
@store_options
def profile(dataset: str, store: str, url: str, *, as_json: bool) -> None:
    """What the columns of a dataset version, or of a file, hold.

    \b
    mainspring profile flights@3
    mainspring profile january.parquet --json
    """
    with use_client(store, url) as client:
        found = client.quality.profile(source_of(dataset))
    if as_json:
        echo_json(found)
        return
    families = {column.name: column.family for column in found.columns}
    rows = [
        (
            each["column"],
            each["dtype"],
            f"{100 * each['missing'] / each['count']:.3g} %" if each["count"] else "",
            each["distinct"],
            *(_figure(each[name], families[each["column"]]) for name in ("min", "p50", "mean", "max")),
            ", ".join(f"{value} ({count})" for value, count in each["top"][:3]),
        )
        for each in found.summary()
    ]
    show_table(
        ("column", "type", "missing", "distinct", "min", "median", "mean", "max", "most frequent"),
        rows,
        empty="it has no columns",
    )


def _figure(value: float | None, family: str) -> str:
    """A number of a column in its own terms: moments as such, and texts and lists by how long they are."""
    if value is None:
        return ""
    if family == "moment":
        return from_micros(round(value)).isoformat()
    said = f"{value:.0f}" if value == int(value) else f"{value:.6g}"
    return f"{said} long" if family in {"text", "list"} else said


@click.command()
@click.argument("reference")
@click.argument("current")
@click.option(
    "--rules",
    type=click.Choice(["mainspring", "evidently"]),
    default="mainspring",
    show_default=True,
    help="By whose rules: effect and calibrated significance, or one named test a column.",
)
@click.option("--limits", default="", help="By the default rules: default, strict, lenient or significance.")
@click.option("--test", "tests", multiple=True, metavar="COLUMN=TEST", help="A test of one column: delay=wasserstein.")
@click.option("--column", "columns", multiple=True, help="Only this column; may be given again.")
@click.option("--name", default="", help="Keep the report under this name.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as one HTML page, too.")
@json_option
@store_options
def drift(
    reference: str,
    current: str,
    rules: Rules,
    limits: str,
    tests: tuple[str, ...],
    columns: tuple[str, ...],
    name: str,
    html: Path | None,
    store: str,
    url: str,
    *,
    as_json: bool,
) -> int:
    """Compare the distributions of two dataset versions or files; exit code 1 when they drifted.

    Too few rows are neither drift nor its absence: the report says "insufficient data", and the exit code is 0.

    \b
    mainspring drift flights@1 flights@2
    mainspring drift flights@reference today.parquet --html drift.html
    mainspring drift flights@1 flights@2 --rules evidently
    mainspring drift flights@1 flights@2 --test delay=wasserstein
    """
    with use_client(store, url) as client:
        found = client.quality.drift(
            source_of(reference),
            source_of(current),
            rules=rules,
            limits=limits or None,
            tests=_tests(tests),
            columns=columns or None,
            name=name,
        )
    if html is not None:
        html.write_text(found.to_html(), encoding="utf-8")
    if as_json:
        echo_json(found)
    else:
        from mainspring.quality.reports.terminal import show

        show(found)
    return 1 if found.verdict == "drift" else 0


def _tests(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [each.rpartition("=") for each in given]
    for column, _, test in pairs:
        if not column or not test:
            raise InvalidInput("a test is given as COLUMN=TEST", hint="--test delay=wasserstein")
    return {column: test for column, _, test in pairs}


@click.command()
@click.argument("ref")
@click.argument("suite", default="")
@click.option("--name", default="", help="Of the dataset of failing rows.  [default: NAME-quarantine]")
@click.option("--clean", default=None, help="Of the dataset of the others, '' for none.  [default: NAME-clean]")
@json_option
@store_options
def quarantine(ref: str, suite: str, name: str, clean: str | None, store: str, url: str, *, as_json: bool) -> None:
    """Divide a version: rows that hold and rows that do not become versions of their own.

    \b
    mainspring quarantine flights@3 flights
    """
    with use_client(store, url) as client:
        asked = suite_of(client, suite, "", dataset=ref)
        found = client.quality.quarantine(ref, asked, commit=True, name=name, clean=clean)
    if as_json:
        echo_json(found)
        return
    if found.quarantined is None:
        click.echo(f"every row of {found.source.ref} holds", err=True)
        return
    show_fields(
        [
            ("quarantined", f"{found.quarantined.ref}: {found.rows:,} rows"),
            ("clean", f"{found.clean.ref}: {found.clean.rows or 0:,} rows" if found.clean else "none"),
        ]
    )
    show_table(("rows", "reason"), [(count, reason) for reason, count in found.reasons.items()], empty="")


@click.command()
@click.argument("dataset")
@click.option("--metric", required=True, help="row_count, missing, mean, std, min, max, distinct, freshness, ...")
@click.option("--column", default="", help="Which column, for a number of one.")
@click.option("--strategy", default="robust", show_default=True, help="Or online-normal, batch-normal, holt-winters.")
@click.option("--limit", default=60, show_default=True, type=click.IntRange(1, 1000), help="How many versions.")
@json_option
@store_options
def anomaly(
    dataset: str, metric: str, column: str, strategy: str, limit: int, store: str, url: str, *, as_json: bool
) -> int:
    """Whether a number of the newest version is what its history would have; exit code 1 when it is not.

    \b
    mainspring anomaly flights --metric row_count
    mainspring anomaly flights --metric mean --column dep_delay --strategy batch-normal
    """
    with use_client(store, url) as client:
        found = client.quality.anomaly(dataset, metric=metric, column=column, strategy=strategy, limit=limit)
    if as_json:
        echo_json(found)
    else:
        judged = bool(found.reason) and (found.low is not None or found.high is not None or not found.normal)
        click.echo(f"{('normal' if found.normal else 'not normal') if judged else 'not judged'}\t{found.reason}")
    return 0 if found.normal else 1
