"""Suites in the forms of others: Great Expectations' JSON, DQDL, Deequ's names, TFDV's schema; and our own as YAML.

Each form is a module with `read_<form>(text) -> Suite` and `write_<form>(suite) -> str`. What a form says that a suite
has no place for is kept in `meta` under the form's name and written back.
"""

from __future__ import annotations

from mainspring.quality.formats.dqdl import read_dqdl, write_dqdl
from mainspring.quality.formats.gx import read_gx, write_gx

__all__ = ["read_dqdl", "read_gx", "write_dqdl", "write_gx"]
