"""Templates: one Jinja2 environment, strict about undefined names, escaping everything that is not marked as markup."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.console import charts, shell, words
from mainspring.console.charts.palette import slot_of, tone_of
from mainspring.console.charts.scale import span_label
from mainspring.console.page import Ask, Page
from mainspring.console.static_files import static_digest
from mainspring.quality.reports.html import observed_text

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render"]

_TEMPLATES = Path(__file__).parent / "templates"


def render(page: Page, ask: Ask, *, theme: str = "system") -> str:
    """The page as HTML.

    Args:
        page: The record that its template draws.
        ask: Where it is shown: for links, for relative times.
        theme: `light`, `dark` or `system`.
    """
    template = _environment().get_template(page.template)
    return template.render(page=page, ask=ask, theme=theme)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def drawn(name: str) -> Any:
        function = getattr(charts, name)
        # Charts escape all that they are given (see charts/svg.py), so their text is markup.
        return lambda *args, **kwargs: Markup(function(*args, **kwargs))  # noqa: S704

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(
        charts={name: drawn(name) for name in charts.__all__ if name.islower()},
        keys=shell.KEYS,
        navigation=shell.NAVIGATION,
        slot_of=slot_of,
        static=f"static/{static_digest()}",
        themes=shell.THEMES,
    )
    environment.filters.update(
        absolute=words.absolute,
        ago=words.ago,
        bytes=words.bytes_label,
        compact=words.compact,
        counted=words.counted,
        elapsed=words.elapsed,
        figure=words.figure_label,
        iso=words.iso,
        json=words.json_text,
        observed=observed_text,
        per_cent=words.per_cent,
        short=words.short_id,
        span=span_label,
        tone=tone_of,
        public=lambda tags: {name: value for name, value in tags.items() if not words.is_bookkeeping(name)},
        bookkeeping=lambda tags: {name: value for name, value in tags.items() if words.is_bookkeeping(name)},
        zip=lambda first, second: list(zip(first, second, strict=True)),
    )
    return environment
