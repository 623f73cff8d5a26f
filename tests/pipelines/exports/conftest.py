"""The flows of these tests and of the examples are modules that containers can import."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[2] / "examples"
sys.path[:0] = [str(path) for path in (HERE, EXAMPLES, EXAMPLES / "coming_from") if str(path) not in sys.path]
