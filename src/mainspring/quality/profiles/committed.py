"""The profile of everything that is committed, taken without being asked: named in `AFTER_COMMIT` on the hooks page.

A version that only adds files to an earlier one costs the scan of those files: their profile is merged into that of the
earlier version. The setting `profile_rows` says up to how many rows a table is profiled, 0 for never.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import MainspringError
from mainspring.kernel.settings import read_settings

if TYPE_CHECKING:
    from mainspring.data.service import Data
    from mainspring.data.types import DatasetVersion
    from mainspring.lineage.types import Artifact, File
    from mainspring.quality.profiles.types import Profile
    from mainspring.quality.service import Quality

__all__ = ["take", "take_frame"]

_LOG = logging.getLogger("mainspring.quality")
_EARLIER = 5  # versions looked at for one whose files are all still there


def take(data: Data, version: DatasetVersion) -> Artifact | None:
    """Take and keep the profile of a version; nothing where it is no table, is too long, or profiling is off."""
    if not version.schema or version.rows is None or not 0 < version.rows <= read_settings().profile_rows:
        return None
    from mainspring.quality.service import Quality

    quality = Quality(data._backend)  # noqa: SLF001 -- the handle of another room of the same client
    if quality.profile_of(version.ref) is not None:
        return None
    return quality.record_profile(_profile(data, quality, version), of=version.ref)


def take_frame(data: Any, ref: str, frame: Any) -> Artifact | None:
    """Take and keep the profile of an artifact that was just made from a frame: a training set, predictions."""
    from mainspring.quality.profiles.build import profile_frame
    from mainspring.quality.service import Quality

    if not 0 < len(frame) <= read_settings().profile_rows:
        return None
    return Quality(data._backend).record_profile(profile_frame(frame), of=ref)  # noqa: SLF001 -- as above


def _profile(data: Data, quality: Quality, version: DatasetVersion) -> Profile:
    """The profile of a version: that of an earlier one and of what was added to it, where there is one."""
    from mainspring.quality.profiles.build import profile_frame
    from mainspring.quality.profiles.types import merge

    if data.external(version) is not None:
        return profile_frame(data.scan(version.ref))
    files = data.files(version.ref)
    for earlier in data.versions(version.name, limit=_EARLIER, before=version.version):
        if earlier.schema != version.schema or not earlier.rows:
            continue
        added = _added(data.files(earlier.ref), files)
        known = quality.profile_of(earlier.ref) if added is not None else None
        if added is None or known is None:
            continue
        if not added:
            return known
        try:
            return merge(known, profile_frame(_scan(data, added)))
        except MainspringError as error:
            _LOG.info("%s is profiled anew: %s", version.ref, error)
            break
    return profile_frame(_scan(data, files))


def _scan(data: Data, files: list[File]) -> Any:
    from mainspring.data.tabular import scan_files, table_files

    tabular = table_files(files)
    return scan_files(tabular, data.local_copies(tabular))


def _added(before: list[File], after: list[File]) -> list[File] | None:
    """The files that came on top; None where one of the earlier ones is gone or changed.

    Example:
        >>> from mainspring.lineage.types import File
        >>> a, b = File("a.parquet", 1, "1" * 64), File("b.parquet", 1, "2" * 64)
        >>> _added([a], [a, b]) == [b], _added([a, b], [a])
        (True, None)
    """
    old = Counter((file.path, file.digest) for file in before)
    new = Counter((file.path, file.digest) for file in after)
    if old - new:
        return None
    return [file for file in after if (file.path, file.digest) not in old]
