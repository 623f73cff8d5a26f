"""One readable log for all parts: time, part, level, message, on standard error."""

from __future__ import annotations

import logging
import sys

__all__ = ["set_up_logging"]


class _Line(logging.Formatter):
    """`05:12:33.120 worker-1  warning  message`, with the part's name without the package's."""

    def format(self, record: logging.LogRecord) -> str:
        name = record.name.removeprefix("mainspring.").partition(".")[0]
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        text = f"{self.formatTime(record, '%H:%M:%S')}.{int(record.msecs):03d} {name:<10} {level}{record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def set_up_logging(level: str) -> None:
    """Send everything of Mainspring, and warnings of its libraries, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("mainspring").setLevel(level.upper())
