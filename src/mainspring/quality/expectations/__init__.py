"""The kinds of expectations: what can be expected of a table, its columns and their values."""

from mainspring.quality.expectations.base import Check, Judgement, RowCheck, Target
from mainspring.quality.expectations.kinds import KINDS, compile_expectation, described, register

__all__ = ["KINDS", "Check", "Judgement", "RowCheck", "Target", "compile_expectation", "described", "register"]
