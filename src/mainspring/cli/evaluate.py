"""`mainspring evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mainspring.cli.check import source_of
from mainspring.cli.output import echo_json, json_option, store_options, use_client
from mainspring.kernel.errors import InvalidInput, NotFound, nearest

if TYPE_CHECKING:
    import polars as pl

    from mainspring.client.client import Client
    from mainspring.quality.evaluation.report import EvaluationReport

__all__ = ["evaluate"]

_TASKS = ("binary", "multiclass", "regression", "ranking", "forecast")


@click.command()
@click.argument("predictions")
@click.option("--label", default="label", show_default=True, help="The column of labels.")
@click.option("--score", "scores", multiple=True, help="The column of scores; of several classes, one for each.")
@click.option("--task", type=click.Choice(_TASKS), default="binary", show_default=True, help="What was predicted.")
@click.option("--champion", default="", help="The column of scores of the model in use.")
@click.option("--query", default="", help="Of a ranking: the column of queries.")
@click.option("--weight", default="", help="The column of weights.")
@click.option("--threshold", type=float, default=0.5, show_default=True, help="From which probability on to say yes.")
@click.option("--slice", "slices", multiple=True, help="A column, or a condition in SQL; may be given several times.")
@click.option("--search", is_flag=True, help="Search all other columns for slices with greater losses.")
@click.option("--sensitive", multiple=True, help="A column whose groups should be treated alike.")
@click.option("--at-least", multiple=True, metavar="METRIC=VALUE", help="The gate: the lower end must reach this.")
@click.option("--at-most", multiple=True, metavar="METRIC=VALUE", help="The gate: the upper end must not pass this.")
@click.option("--model", default="", help="Reference of the model that was evaluated.")
@click.option("--name", default="", help="Keep the report under this name.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as one HTML page, too.")
@json_option
@store_options
def evaluate(
    predictions: str, store: str, url: str, *, as_json: bool, html: Path | None, name: str, model: str, **given: Any
) -> int:
    """Evaluate a table of labels and scores, or show a kept report; exit code 1 when the gate does not pass.

    \b
    mainspring evaluate predictions.parquet --label late --score probability --slice carrier --html report.html
    mainspring evaluate predictions@3 --score p --at-least auc=0.7 --name flight-delay --model flight-delay@2
    mainspring evaluate report/evaluation/flight-delay@4
    """
    if not name and not isinstance(source_of(predictions), str):
        report = _evaluated(None, predictions, name=name, model=model, **given)  # a file needs no store
    else:
        with use_client(store, url) as client:
            if predictions.startswith("report/evaluation/"):
                report = client.quality.evaluation(predictions)
            else:
                report = _evaluated(client, predictions, name=name, model=model, **given)
    if html is not None:
        html.write_text(report.to_html(), encoding="utf-8")
    if as_json:
        echo_json(report.to_dict())
    else:
        click.echo(report.to_text(), nl=False)
    return 1 if report.decision is not None and not report.decision.passed else 0


def _evaluated(
    client: Client | None,
    source: str,
    *,
    name: str,
    model: str,
    label: str,
    scores: Sequence[str],
    task: str,
    champion: str,
    query: str,
    weight: str,
    threshold: float,
    slices: Sequence[str],
    search: bool,
    sensitive: Sequence[str],
    at_least: Sequence[str],
    at_most: Sequence[str],
) -> EvaluationReport:
    from mainspring.quality.evaluation.making import make_report

    frame, ref = _table(client, source)
    asked = list(scores) or ["score"]
    used = [label, *asked, *(each for each in (champion, query, weight) if each)]
    for each in (*used, *sensitive):
        if each not in frame.columns:
            raise NotFound(f"{source} has no column {each!r}", known=nearest(each, frame.columns))
    options: dict[str, Any] = {}
    if task == "binary":
        options["threshold"] = threshold
    if task == "multiclass":
        options["classes"] = asked
    if query:
        options["queries"] = frame[query]
    if weight:
        options["weights"] = frame[weight]
    if slices or search:
        options["frame"] = frame.drop(used)
        options["slices"] = list(slices)
    arguments: dict[str, Any] = {
        "task": task,
        "model": model,
        "dataset": ref,
        "champion": frame[champion] if champion else None,
        "gate": _gate(at_least, at_most),
        "sensitive": frame.select(list(sensitive)) if sensitive else None,
        "search": search,
    }
    given = frame.select(asked) if task == "multiclass" else frame[asked[0]]
    if client is not None and name:
        return client.quality.evaluate(name, frame[label], given, **arguments, **options)
    return make_report(frame[label], given, parts={}, options=options, **arguments)


def _table(client: Client | None, source: str) -> tuple[pl.DataFrame, str]:
    """The rows, and the reference of the dataset version when they are one."""
    import polars as pl

    found = source_of(source)
    if isinstance(found, str) and client is not None:
        version = client.data.describe(found)
        return client.data.load(version.ref), version.ref
    if found.suffix.lower() in {".csv", ".tsv"}:
        return pl.read_csv(found, separator="\t" if found.suffix.lower() == ".tsv" else ","), ""
    if found.suffix.lower() in {".ndjson", ".jsonl"}:
        return pl.read_ndjson(found), ""
    return pl.read_parquet(found), ""


def _gate(at_least: Sequence[str], at_most: Sequence[str]) -> Any:
    from mainspring.quality.evaluation import Condition, Gate

    conditions = []
    for way, texts in (("at_least", at_least), ("at_most", at_most)):
        for text in texts:
            metric, _, bound = text.partition("=")
            try:
                value = float(bound)
            except ValueError:
                raise InvalidInput(f"{text!r} is not a bound", hint="write it like auc=0.7") from None
            least, most = (value, None) if way == "at_least" else (None, value)
            conditions.append(Condition(metric=metric, at_least=least, at_most=most))
    return Gate(name="command line", conditions=tuple(conditions)) if conditions else None
