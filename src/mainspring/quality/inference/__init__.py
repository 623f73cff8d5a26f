"""Suites from data: a first one, and the changes that newer data asks for."""

from mainspring.quality.inference.infer import infer_suite
from mainspring.quality.inference.proposals import Proposal
from mainspring.quality.inference.update import SuiteUpdate, update_suite

__all__ = ["Proposal", "SuiteUpdate", "infer_suite", "update_suite"]
