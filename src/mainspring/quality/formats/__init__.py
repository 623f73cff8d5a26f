"""Suites in the forms of others: Great Expectations' JSON, DQDL, Deequ's code, TFDV's schema; and our own as YAML.

Each form is a module with `read_<form>(text) -> Suite` and, where it can be written, `write_<form>(suite) -> str`. What
a form says that a suite has no place for is kept in `meta` under the form's name and written back.
"""

from __future__ import annotations

from mainspring.quality.formats.deequ import read_deequ
from mainspring.quality.formats.dqdl import read_dqdl, write_dqdl
from mainspring.quality.formats.gx import read_gx, write_gx
from mainspring.quality.formats.tfdv import read_tfdv, write_tfdv
from mainspring.quality.formats.yaml import read_yaml, write_yaml

__all__ = [
    "read_deequ",
    "read_dqdl",
    "read_gx",
    "read_tfdv",
    "read_yaml",
    "write_dqdl",
    "write_gx",
    "write_tfdv",
    "write_yaml",
]
