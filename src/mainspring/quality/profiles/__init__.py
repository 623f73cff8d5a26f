"""Profiles: mergeable states of a table, from which checks, drift and monitoring all speak."""

from mainspring.quality.profiles.types import ColumnProfile, Profile, merge, merge_all

__all__ = ["ColumnProfile", "Profile", "merge", "merge_all"]
