"""Values that are not numbers, as a run keeps them: bytes of a known kind, with a few words about them.

A value knows how it becomes a file and nothing of runs, so that whoever has one (our own API, another tracker's
dialect, an integration) hands it over the same way. What is small enough stands in `about` and is no file at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from mainspring.kernel.errors import InvalidInput

__all__ = ["Encoded", "Figure", "Html", "Json", "Media", "Text", "Video", "read_source"]

_FIGURES = {
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".pdf": "application/pdf",
    ".jpg": "image/jpeg",
    ".html": "text/html",
    ".json": "application/json",
}
_VIDEOS = {".mp4": "video/mp4", ".webm": "video/webm", ".gif": "image/gif", ".mov": "video/quicktime"}


class Encoded(msgspec.Struct, frozen=True):
    """A value as it is kept."""

    data: bytes
    """Empty where all of it stands in `about`."""
    suffix: str
    media_type: str
    about: dict[str, Any] = {}
    """`kind`, `caption`, and what a page shows before it reads the bytes: sizes, columns, a preview, counts."""


class Media:
    """A value that a run keeps beside numbers. `encode` is all that an own kind needs.

    Example:
        >>> class Molecule(Media):
        ...     kind = "molecule"
        ...     def encode(self, suffix: str = "") -> Encoded:
        ...         return Encoded(b"C1=CC=CC=C1", ".smi", "chemical/x-daylight-smiles", self.about())
        >>> Molecule(caption="benzene").encode().about
        {'kind': 'molecule', 'caption': 'benzene'}
    """

    kind: ClassVar[str] = "file"
    caption: str = ""

    def __init__(self, *, caption: str = "") -> None:
        self.caption = caption

    def encode(self, suffix: str = "") -> Encoded:
        """The bytes; `suffix` is that of the name that was asked for, where one was."""
        raise NotImplementedError

    def about(self, **more: Any) -> dict[str, Any]:
        """What is known of the value without its bytes."""
        return {"kind": self.kind, **({"caption": self.caption} if self.caption else {}), **more}


class Text(Media):
    """A text."""

    kind = "text"

    def __init__(self, text: str, *, caption: str = "") -> None:
        super().__init__(caption=caption)
        self.text = str(text)

    def encode(self, suffix: str = "") -> Encoded:
        """UTF-8."""
        kinds = {".md": "text/markdown", ".csv": "text/csv", ".html": "text/html", ".svg": "image/svg+xml"}
        return Encoded(
            self.text.encode(errors="replace"),
            ".txt",
            kinds.get(suffix.lower(), "text/plain"),
            self.about(characters=len(self.text), preview=self.text[:300]),
        )


class Json(Media):
    """Anything that JSON can hold: mappings, lists, texts, numbers."""

    kind = "json"

    def __init__(self, value: Any, *, caption: str = "") -> None:
        super().__init__(caption=caption)
        self.value = value

    def encode(self, suffix: str = "") -> Encoded:
        """Indented JSON; what JSON has no word for is written as its text."""
        try:
            text = json.dumps(self.value, indent=2, ensure_ascii=False, default=_plain)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"{type(self.value).__name__} cannot be written as JSON: {error}") from error
        return Encoded(text.encode(errors="replace"), ".json", "application/json", self.about())


class Html(Media):
    """A page: its text, or the path of a file that ends in `.html`."""

    kind = "html"

    def __init__(self, source: str | os.PathLike[str], *, caption: str = "") -> None:
        super().__init__(caption=caption)
        self.source = source

    def encode(self, suffix: str = "") -> Encoded:
        """UTF-8."""
        source = self.source
        is_path = isinstance(source, os.PathLike) or (source.endswith((".html", ".htm")) and "<" not in source)
        data = read_source(source) if is_path else str(source).encode(errors="replace")
        return Encoded(data, ".html", "text/html", self.about())


class Video(Media):
    """A video: the path or the bytes of a file, or an array of frames (time, height, width, 3) that becomes a GIF."""

    kind = "video"

    def __init__(self, source: Any, *, rate: float = 8.0, caption: str = "", suffix: str = "") -> None:
        super().__init__(caption=caption)
        self.source, self.rate, self.suffix = source, rate, suffix

    def encode(self, suffix: str = "") -> Encoded:
        """The file as it is; frames as a GIF, by Pillow."""
        if isinstance(self.source, str | os.PathLike | bytes):
            own = self.suffix or ("" if isinstance(self.source, bytes) else Path(self.source).suffix) or suffix
            if own.lower() not in _VIDEOS:
                raise InvalidInput(
                    f"a video ends in {', '.join(_VIDEOS)}, not in {own!r}", hint='Video(data, suffix=".mp4")'
                )
            return Encoded(read_source(self.source), own.lower(), _VIDEOS[own.lower()], self.about())
        return self._animated()

    def _animated(self) -> Encoded:
        import io

        from mainspring.tracking.media_arrays import pixels

        try:
            from PIL import Image as Pillow
        except ImportError:
            raise InvalidInput("frames become a GIF by Pillow, which is missing", hint="pip install pillow") from None
        frames = [Pillow.fromarray(pixels(frame)) for frame in self.source]
        if not frames:
            raise InvalidInput("a video has at least one frame")
        out = io.BytesIO()
        pause = max(20, round(1000 / self.rate))
        frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=pause, loop=0)
        about = self.about(frames=len(frames), width=frames[0].width, height=frames[0].height)
        return Encoded(out.getvalue(), ".gif", "image/gif", about)


class Figure(Media):
    """A figure of Matplotlib or Plotly, or the text of an SVG."""

    kind = "figure"

    def __init__(self, figure: Any, *, caption: str = "") -> None:
        super().__init__(caption=caption)
        if not isinstance(figure, str) and not _is_figure(figure):
            raise InvalidInput(f"{type(figure).__name__} is not a figure", hint="log_file takes a file of any kind")
        self.figure = figure

    def encode(self, suffix: str = "") -> Encoded:
        """Matplotlib as PNG unless the name says SVG, PDF or JPEG; Plotly as its JSON unless it says HTML."""
        made = self._write(suffix.lower())
        return Encoded(made[0], made[1], _FIGURES[made[1]], self.about())

    def _write(self, suffix: str) -> tuple[bytes, str]:
        figure = self.figure
        if isinstance(figure, str):
            return figure.encode(), ".svg"
        if hasattr(figure, "savefig"):
            import io

            chosen = suffix if suffix in {".png", ".svg", ".pdf", ".jpg"} else ".png"
            buffer = io.BytesIO()
            figure.savefig(buffer, format=chosen[1:], bbox_inches="tight")
            return buffer.getvalue(), chosen
        if suffix == ".html":
            return figure.to_html(include_plotlyjs="cdn").encode(), ".html"
        return figure.to_json().encode(), ".json"


def read_source(source: str | os.PathLike[str] | bytes) -> bytes:
    """The bytes of a file, or those given."""
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{source} cannot be read: {error.strerror}") from error


def _is_figure(value: Any) -> bool:
    return hasattr(value, "savefig") or (hasattr(value, "to_html") and hasattr(value, "to_plotly_json"))


def _plain(value: Any) -> Any:
    for name in ("tolist", "isoformat", "to_dict"):
        convert: Callable[[], Any] | None = getattr(value, name, None)
        if convert is not None:
            return convert()
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    return sorted(value, key=repr) if isinstance(value, set | frozenset) else str(value)
