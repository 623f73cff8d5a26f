"""A model card as headed blocks of text, lists and tables: what Markdown and HTML are written from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from mainspring.models.types import CardText, Metric, ModelCard

__all__ = ["Block", "Part", "figure_text", "parts_of"]

_PARAMETERS = 60


class Block(msgspec.Struct, frozen=True):
    """A paragraph, a table or code."""

    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    code: str = ""


class Part(msgspec.Struct, frozen=True):
    """A heading with what stands under it."""

    title: str
    level: int
    written: CardText | None
    blocks: tuple[Block, ...]


Group = tuple[str, str, tuple[tuple[str, str, tuple[Block, ...]], ...]]
"""A heading, the section that people write under it, and the parts inside: heading, section, facts."""


def parts_of(card: ModelCard) -> Iterator[Part]:
    """The parts of a card in the order of Hugging Face's template; those that say nothing are left out."""
    for title, section, inner in (*_about_itself(card), *_about_its_making(card)):
        parts = [
            Part(heading, 3, card.written.get(key), blocks)
            for heading, key, blocks in inner
            if blocks or key in card.written
        ]
        written = card.written.get(section)
        if parts or written:
            yield Part(title, 2, written, ())
            yield from parts


def _about_itself(card: ModelCard) -> tuple[Group, ...]:
    """What it is, and what it is for."""
    return (
        (
            "Model Details",
            "",
            (
                ("Model Description", "summary", (_details(card),)),
                ("Owners", "owners", ()),
                ("Approvals", "", _approvals(card)),
                ("Lineage", "", _lineage(card)),
            ),
        ),
        (
            "Uses",
            "",
            (
                ("Direct Use", "direct-use", ()),
                ("Downstream Use", "downstream-use", ()),
                ("Out-of-Scope Use", "out-of-scope", ()),
                ("Intended Users", "users", ()),
            ),
        ),
        (
            "Bias, Risks, and Limitations",
            "limitations",
            (
                ("Ethical Considerations", "ethics", ()),
                ("Trade-offs", "tradeoffs", ()),
                ("Recommendations", "recommendations", ()),
            ),
        ),
    )


def _about_its_making(card: ModelCard) -> tuple[Group, ...]:
    """How it is used, how it was made and how good it is."""
    return (
        ("How to Get Started with the Model", "", (("", "", (_start(card),)),)),
        (
            "Training Details",
            "",
            (
                ("Training Data", "training-data", _data(card)),
                ("Training Procedure", "training-procedure", _code(card)),
                ("Training Hyperparameters", "", _parameters(card)),
            ),
        ),
        ("Evaluation", "evaluation", (("Results", "", _results(card)), ("Slices", "", _slices(card)))),
        ("Environmental Impact", "impact", ()),
        (
            "Technical Specifications",
            "",
            (("Inputs and Outputs", "", _signature(card)), ("Software", "", _software(card))),
        ),
        ("Citation", "citation", ()),
        ("More Information", "more", ()),
        ("Model Card Contact", "contact", ()),
    )


def figure_text(figure: Metric) -> str:
    """A figure with its interval.

    Example:
        >>> figure_text(Metric(0.8123, 0.79, 0.83, 0.95))
        '0.8123 (95% interval 0.79 to 0.83)'
    """
    if figure.low is None or figure.high is None:
        return f"{figure.value:.4g}"
    level = f"{figure.level:.0%} interval " if figure.level else ""
    return f"{figure.value:.4g} ({level}{figure.low:.4g} to {figure.high:.4g})"


def _details(card: ModelCard) -> Block:
    version = card.version
    rows = [
        ("Version", str(version.version)),
        ("Aliases", ", ".join(version.aliases)),
        ("Stage", "" if version.stage == "None" else version.stage),
        ("Approval", version.approval),
        ("Format", version.format),
        ("Size", f"{version.size:,} bytes"),
        ("Digest", version.digest),
        ("Registered", f"{version.created_at:%Y-%m-%d %H:%M} UTC by {version.created_by}"),
        ("Run", version.run_id),
        ("Source", version.source),
        ("Description", version.description or card.model.description),
    ]
    return Block(columns=("", ""), rows=tuple(row for row in rows if row[1]))


def _approvals(card: ModelCard) -> tuple[Block, ...]:
    rows = tuple(
        (
            each.by,
            "withdrawn" if each.withdrawn_at else each.verdict,
            f"{each.at:%Y-%m-%d %H:%M}",
            each.comment,
        )
        for each in card.approvals
    )
    return (Block(columns=("Who", "Verdict", "When", "Comment"), rows=rows),) if rows else ()


def _lineage(card: ModelCard) -> tuple[Block, ...]:
    nodes = [*card.runs, *card.data, *card.features, *card.code, *card.environment]
    rows = tuple((node.kind, node.ref, f"{node.at:%Y-%m-%d}", node.by) for node in nodes)
    return (Block(columns=("Kind", "Reference", "When", "By"), rows=rows),) if rows else ()


def _start(card: ModelCard) -> Block:
    name = f"{card.version.name}@{card.version.version}"
    return Block(code=f'import mainspring as ms\n\nmodel = ms.models.load("{name}")\nmodel.predict(frame)')


def _data(card: ModelCard) -> tuple[Block, ...]:
    profiled = {str(each.metadata.get("of", each.name)): each.ref for each in card.profiles}
    rows = tuple(
        (
            node.ref,
            node.digest[:12],
            _count(node.metadata.get("rows")),
            profiled.get(node.ref, profiled.get(node.name, "")),
        )
        for node in card.data
    )
    return (Block(columns=("Data", "Digest", "Rows", "Profile"), rows=rows),) if rows else ()


def _code(card: ModelCard) -> tuple[Block, ...]:
    rows = tuple(
        (
            node.ref,
            str(node.metadata.get("commit", "") or node.metadata.get("source", ""))[:12],
            "with changes" if node.metadata.get("changes") else "",
            str(node.metadata.get("remote", "")),
        )
        for node in card.code
    )
    return (Block(columns=("Code", "Commit", "", "Repository"), rows=rows),) if rows else ()


def _parameters(card: ModelCard) -> tuple[Block, ...]:
    shown = list(card.version.parameters.items())
    rows = tuple((key, _short(value)) for key, value in shown[:_PARAMETERS])
    more = (Block(text=f"And {len(shown) - _PARAMETERS} more."),) if len(shown) > _PARAMETERS else ()
    return (Block(columns=("Parameter", "Value"), rows=rows), *more) if rows else ()


def _results(card: ModelCard) -> tuple[Block, ...]:
    rows = [("at registration", name, figure_text(each)) for name, each in card.version.metrics.items()]
    reported = {each.dataset or each.report for each in card.evaluations}
    for dataset, figures in card.version.measured.items():
        if dataset not in reported:
            rows += [(dataset, name, figure_text(each)) for name, each in figures.items()]
    for evaluation in card.evaluations:
        on = evaluation.dataset or evaluation.report
        rows += [(on, name, figure_text(each)) for name, each in evaluation.metrics.items()]
    return (Block(columns=("Data", "Metric", "Value"), rows=tuple(rows)),) if rows else ()


def _slices(card: ModelCard) -> tuple[Block, ...]:
    rows = tuple(
        (each.slice, f"{each.rows:,}", each.metric, figure_text(each.figure))
        for evaluation in card.evaluations
        for each in evaluation.slices
    )
    return (Block(columns=("Slice", "Rows", "Metric", "Value"), rows=rows),) if rows else ()


def _signature(card: ModelCard) -> tuple[Block, ...]:
    signature = card.version.signature
    both = [("input", each) for each in signature.inputs] + [("output", each) for each in signature.outputs]
    rows = tuple((way, each.name, each.dtype, "may be missing" if each.nullable else "") for way, each in both)
    return (Block(columns=("", "Column", "Type", ""), rows=rows),) if rows else ()


def _software(card: ModelCard) -> tuple[Block, ...]:
    python = next((str(node.metadata.get("python", "")) for node in card.environment), "")
    rows = [("Python", python)] if python else []
    rows += sorted(card.version.libraries.items())
    return (Block(columns=("Library", "Version"), rows=tuple(rows)),) if rows else ()


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else f"{text[:200]}…"
