"""Model cards as others read them: Hugging Face's README.md, Google's Model Card Toolkit JSON, and a page of HTML.

Hugging Face: YAML metadata in front of Markdown, as https://huggingface.co/docs/hub/model-cards says; figures stand in
its `model-index`. Google: schema 0.0.2 of https://github.com/tensorflow/model-card-toolkit. Neither library is needed.
"""

from __future__ import annotations

from typing import Any

import msgspec
from markupsafe import Markup, escape

from mainspring.models.card_blocks import Block, Part, figure_text, parts_of
from mainspring.models.types import CardText, Metric, ModelCard, VersionDiff

__all__ = ["to_google", "to_html", "to_markdown"]

_LIBRARIES = {
    "skops": "sklearn",
    "onnx": "onnx",
    "lightgbm": "lightgbm",
    "xgboost": "xgboost",
    "catboost": "catboost",
    "keras": "keras",
    "torchscript": "pytorch",
    "torch-export": "pytorch",
    "safetensors": "safetensors",
}
_TASKS = {
    "binary": "tabular-classification",
    "classification": "tabular-classification",
    "regression": "tabular-regression",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;margin:.5rem 0;overflow-wrap:anywhere}"
    "td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:left;vertical-align:top}"
    "pre{background:#f5f5f5;padding:.8rem;overflow:auto}"
    ".by{color:#666;font-size:.85rem}"
)


def to_markdown(card: ModelCard) -> str:
    """The card as Hugging Face's README.md."""
    import yaml

    head = yaml.safe_dump(metadata(card), sort_keys=False, allow_unicode=True, default_flow_style=False)
    lines = [f"---\n{head}---\n", f"# Model Card for {_plain(card.version.name)}\n"]
    for part in parts_of(card):
        if part.title:
            lines.append(f"{'#' * part.level} {part.title}\n")
        if part.written:
            lines.append(f"{part.written.text}\n")
        lines += [_markdown(block) for block in part.blocks]
    return "\n".join(lines)


def metadata(card: ModelCard) -> dict[str, Any]:
    """The YAML in front of Hugging Face's card."""
    version, written = card.version, card.written
    task = next((_TASKS[each.task] for each in card.evaluations if each.task in _TASKS), "")
    if not task and version.classes:
        task = "tabular-classification"
    license_ = _text(written.get("license"))
    known = bool(license_) and len(license_.split()) == 1
    found: dict[str, Any] = {
        "license": license_.lower() if known else "other" if license_ else "",
        "license_name": "" if known else license_[:100],
        "language": [each for each in _text(written.get("language")).replace(",", " ").split() if each],
        "library_name": _LIBRARIES.get(version.format, ""),
        "pipeline_tag": task,
        "tags": ["mainspring", *(f"{key}:{value}" for key, value in {**card.model.tags, **version.tags}.items())],
        "datasets": [node.ref for node in card.data],
        "metrics": sorted({*version.metrics, *(name for each in card.evaluations for name in each.metrics)}),
        "model-index": [{"name": version.name, "results": results}] if (results := _results(card, task)) else [],
    }
    return {key: value for key, value in found.items() if value}


def to_google(card: ModelCard, changes: VersionDiff | None = None) -> dict[str, Any]:
    """The card in the schema of Google's Model Card Toolkit."""
    version, written = card.version, card.written
    license_ = _text(written.get("license"))
    known = len(license_.split()) == 1
    details = {
        "name": version.name,
        "overview": (_text(written.get("summary")) or version.description or card.model.description).partition("\n")[0],
        "documentation": _text(written.get("summary")),
        "owners": [
            {"name": each, "contact": _text(written.get("contact"))}
            for each in _lines(written.get("owners")) or [version.created_by]
        ],
        "version": {
            "name": str(version.version),
            "date": f"{version.created_at:%Y-%m-%d}",
            "diff": _difference(changes) if changes else "",
        },
        "licenses": [{"identifier" if known else "custom_text": license_}] if license_ else [],
        "references": [
            {"reference": str(each.metadata["remote"])} for each in card.code if each.metadata.get("remote")
        ],
        "citations": [{"style": "", "citation": each} for each in _lines(written.get("citation"))],
    }
    parameters = {
        "model_architecture": f"{version.format}: {msgspec.json.encode(version.parameters).decode()}",
        "data": [
            {"name": node.ref, "description": f"digest {node.digest}, of {node.at:%Y-%m-%d}"} for node in card.data
        ],
        "input_format": ", ".join(f"{each.name}: {each.dtype}" for each in version.signature.inputs),
        "output_format": ", ".join(f"{each.name}: {each.dtype}" for each in version.signature.outputs),
    }
    considerations = {
        "users": _described(written.get("users")),
        "use_cases": _described(written.get("direct-use")) + _described(written.get("downstream-use")),
        "limitations": _described(written.get("limitations")) + _described(written.get("out-of-scope")),
        "tradeoffs": _described(written.get("tradeoffs")),
        "ethical_considerations": [
            {"name": each, "mitigation_strategy": _text(written.get("recommendations"))}
            for each in _lines(written.get("ethics"))
        ],
    }
    return {
        "schema_version": "0.0.2",
        "model_details": _said(details),
        "model_parameters": _said(parameters),
        "quantitative_analysis": {"performance_metrics": _performance(card)},
        "considerations": _said(considerations),
    }


def to_html(card: ModelCard) -> str:
    """The card as one page that needs nothing else; everything in it is escaped."""
    body = Markup("").join(_html(part) for part in parts_of(card))
    title = f"{card.version.name}@{card.version.version}"
    return str(
        Markup(
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            "<style>{style}</style></head>\n<body><h1>Model Card for {title}</h1>\n{body}</body></html>\n"
        ).format(title=title, style=Markup(_STYLE), body=body)  # noqa: S704 -- our own constant
    )


def _results(card: ModelCard, task: str) -> list[dict[str, Any]]:
    """What Hugging Face's `model-index` says: figures by the data they were measured on."""
    by_data: dict[str, dict[str, Metric]] = {}
    if card.version.metrics:
        by_data[card.version.data[0] if card.version.data else "training"] = dict(card.version.metrics)
    for dataset, figures in card.version.measured.items():
        by_data.setdefault(dataset, {}).update(figures)
    for each in card.evaluations:
        by_data.setdefault(each.dataset or each.report, {}).update(each.metrics)
    return [
        {
            "task": {"type": task or "other"},
            "dataset": {"name": dataset, "type": dataset.partition("@")[0].rpartition("/")[2]},
            "metrics": [_result(name, figure) for name, figure in figures.items()],
        }
        for dataset, figures in by_data.items()
    ]


def _result(name: str, figure: Metric) -> dict[str, Any]:
    found: dict[str, Any] = {"type": name, "name": name, "value": figure.value}
    return found if figure.low is None else {**found, "interval": figure_text(figure)}


def _performance(card: ModelCard) -> list[dict[str, Any]]:
    def one(name: str, figure: Metric, part: str) -> dict[str, Any]:
        found: dict[str, Any] = {"type": name, "value": figure.value}
        if part:
            found["slice"] = part
        if figure.low is not None and figure.high is not None:
            found["confidence_interval"] = {"lower_bound": figure.low, "upper_bound": figure.high}
        return found

    found = [one(name, figure, "") for name, figure in card.version.metrics.items()]
    for each in card.evaluations:
        found += [one(name, figure, each.dataset) for name, figure in each.metrics.items()]
        found += [one(part.metric, part.figure, part.slice) for part in each.slices]
    return found


def _difference(changes: VersionDiff) -> str:
    """What changed since the version before, in one line."""
    named = {
        "parameters": list(changes.parameters),
        "data": [*(f"-{each}" for each in changes.data[0]), *(f"+{each}" for each in changes.data[1])],
        "code": ["code"] if changes.code else [],
        "packages": list(changes.environment),
        "columns": list(changes.signature),
    }
    said = [f"{what}: {', '.join(each[:10])}" for what, each in named.items() if each]
    return "; ".join(said) or "nothing but the content"


def _markdown(block: Block) -> str:
    if block.code:
        return f"```python\n{block.code}\n```\n"
    if not block.columns:
        return f"{block.text}\n"
    lines = [f"| {' | '.join(block.columns)} |", f"|{'---|' * len(block.columns)}"]
    lines += [f"| {' | '.join(_plain(cell) for cell in row)} |" for row in block.rows]
    return "\n".join(lines) + "\n"


def _html(part: Part) -> Markup:
    heading = Markup("<h{level}>{title}</h{level}>\n").format(level=part.level, title=part.title)
    pieces = [heading] if part.title else []
    if part.written:
        paragraphs = (each for each in part.written.text.split("\n\n") if each.strip())
        pieces += [Markup("<p>{}</p>\n").format(each) for each in paragraphs]
        said = f"{part.written.by}, {part.written.at:%Y-%m-%d}"
        pieces.append(Markup('<p class="by">{}</p>\n').format(said))
    for block in part.blocks:
        if block.code:
            pieces.append(Markup("<pre>{}</pre>\n").format(block.code))
        elif block.columns:
            pieces.append(_html_table(block))
        else:
            pieces.append(Markup("<p>{}</p>\n").format(block.text))
    return Markup("").join(pieces)


def _html_table(block: Block) -> Markup:
    cells = Markup("").join(Markup("<th>{}</th>").format(each) for each in block.columns)
    head = Markup("<tr>{}</tr>\n").format(cells) if any(block.columns) else Markup("")
    rows = Markup("\n").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row))
        for row in block.rows
    )
    return Markup("<table>{}{}</table>\n").format(head, rows)


def _plain(text: str) -> str:
    """Text that stays in its cell of a Markdown table, and is no HTML."""
    return str(escape(text)).replace("|", "\\|").replace("\n", " ")


def _text(written: CardText | None) -> str:
    return written.text if written else ""


def _lines(written: CardText | None) -> list[str]:
    """What was written, one thing to a line; marks of a list are left out."""
    return [line.strip().lstrip("-*").strip() for line in _text(written).splitlines() if line.strip(" -*")]


def _described(written: CardText | None) -> list[dict[str, str]]:
    return [{"description": each} for each in _lines(written)]


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}
