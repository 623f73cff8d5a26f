"""SVG as text: elements, escaping, and the frame that every chart shares.

Written by hand because a chart here is a few dozen elements: a drawing library would weigh more than
all charts together and could not follow the page's theme. Colours are CSS custom properties with a
fallback, so that one text fits a light page, a dark page and a file on its own; they are presentation
attributes and not `style`, so that a strict Content-Security-Policy lets them through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

__all__ = [
    "GRID",
    "INK",
    "MUTED",
    "SURFACE",
    "element",
    "empty_figure",
    "figure",
    "number",
    "shorten",
    "text",
    "text_width",
]

INK = "var(--ink, #1d2125)"
MUTED = "var(--ink-2, #5b626b)"
GRID = "var(--line, #dfe3e8)"
SURFACE = "var(--surface, #ffffff)"

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (section 2.2) does not allow, even escaped."""


def number(value: float) -> str:
    """A coordinate: one decimal place, no trailing zero.

    Example:
        >>> number(12.0), number(0.26), number(-0.01)
        ('12', '0.3', '0')
    """
    rounded = f"{value:.1f}".removesuffix(".0")
    return "0" if rounded == "-0" else rounded


def clean(value: object) -> str:
    """A value as text that is safe between tags and inside double quotes."""
    return escape(_FORBIDDEN.sub("\ufffd", str(value)), quote=True)


def element(tag: str, *children: str, **attributes: object) -> str:
    """One element; children are markup already, attributes are escaped here.

    An attribute that is None is left out; a trailing underscore is dropped and other underscores
    become dashes, so that `stroke_width=2` and `class_="line"` can be written in Python.

    Example:
        >>> element("rect", x=1.25, class_="bar")
        '<rect x="1.2" class="bar"/>'
    """
    shown = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{number(value) if isinstance(value, float) else clean(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    body = "".join(children)
    return f"<{tag}{shown}>{body}</{tag}>" if body else f"<{tag}{shown}/>"


def text(content: str, x: float, y: float, *, anchor: str = "start", fill: str = MUTED, **attributes: object) -> str:
    """A line of text with its baseline at (x, y)."""
    placed = None if anchor == "start" else anchor
    return element("text", clean(content), x=float(x), y=float(y), text_anchor=placed, fill=fill, **attributes)


def text_width(content: str, size: float = 11.0) -> float:
    """About how wide a text is in a system sans-serif: enough to place the next one."""
    return (
        sum(0.33 if letter in "iljtf.,:;|'! ()[]" else 0.86 if letter in "mwMW@%" else 0.58 for letter in content)
        * size
    )


def shorten(content: str, width: float, size: float = 11.0) -> str:
    """The text, cut in its middle with an ellipsis so that it fits `width`."""
    if text_width(content, size) <= width:
        return content
    keep = max(2, int(width / (0.58 * size)) - 1)
    head = (keep + 1) // 2
    return content[:head] + "\u2026" + content[len(content) - (keep - head) :]


def figure(
    body: Iterable[str],
    *,
    width: float,
    height: float,
    title: str,
    description: str = "",
    kind: str,
    **attributes: object,
) -> str:
    """The whole chart: an image with a name and a description for those who do not see it."""
    return element(
        "svg",
        element("title", clean(title)),
        element("desc", clean(description)) if description else "<desc></desc>",
        *body,
        xmlns="http://www.w3.org/2000/svg",
        class_=f"chart chart-{kind}",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=number(width),
        height=number(height),
        role="img",
        aria_label=f"{title}. {description}" if description else title,
        font_family="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
        font_size="11",
        **attributes,
    )


def empty_figure(message: str, *, width: float, height: float, title: str, kind: str) -> str:
    """A chart without data says so in its middle; it is never a blank."""
    frame = element(
        "rect",
        x=0.5,
        y=0.5,
        width=width - 1.0,
        height=height - 1.0,
        rx=6,
        fill="none",
        stroke=GRID,
        stroke_dasharray="4 4",
    )
    label = text(message, width / 2, height / 2 + 4, anchor="middle")
    return figure([frame, label], width=width, height=height, title=title, description=message, kind=kind)
