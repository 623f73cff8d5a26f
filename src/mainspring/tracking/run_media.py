"""What a run keeps beside numbers: files, texts, figures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput
from mainspring.tracking.types import RunFile

if TYPE_CHECKING:
    from mainspring.tracking.service import Tracking

__all__ = ["MediaLogging"]


class MediaLogging:
    """The part of an active run that logs media."""

    id: str
    _tracking: Tracking

    def log_file(self, path: str | os.PathLike[str], *, name: str = "") -> RunFile:
        """Keep a file with the run, under `name` or its own; durable when this returns."""
        file = Path(path)
        try:
            with file.open("rb") as opened:
                return self._tracking.put_file(
                    self.id, path=name or file.name, body=iter(lambda: opened.read(1 << 20), b"")
                )
        except OSError as error:
            raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error

    def log_text(self, text: str, name: str) -> RunFile:
        """Keep a text with the run, under `name`."""
        return self._tracking.put_file(self.id, path=name, body=[text.encode()])

    def log_figure(self, figure: Any, name: str) -> RunFile:
        """Keep a figure: of Matplotlib (`name.png`, `.svg`, `.pdf`), of Plotly (`name.html`, `.json`), or SVG text."""
        if isinstance(figure, str):
            return self.log_text(figure, name)
        if hasattr(figure, "savefig"):
            import io

            buffer = io.BytesIO()
            figure.savefig(buffer, format=Path(name).suffix.removeprefix(".") or "png")
            return self._tracking.put_file(self.id, path=name, body=[buffer.getvalue()])
        if hasattr(figure, "to_html") and name.endswith(".html"):
            return self.log_text(figure.to_html(), name)
        if hasattr(figure, "to_json"):
            return self.log_text(figure.to_json(), name)
        raise InvalidInput(f"{type(figure).__name__} is not a figure", hint="log_file takes a file of any kind")
