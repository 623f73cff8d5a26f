"""The data room's service: everything that can be asked of datasets, by subject.

A version is recorded in one transaction after all its bytes are durable: the operation `record` refuses a version whose
blobs are not there. Hashing, reading tables and writing files happen where the data is, at the client; that part is
composed of operations only, so it is the same on a folder and on a server.
"""

from __future__ import annotations

from mainspring.data.integrity_work import IntegrityWork
from mainspring.data.service_git import GitWork
from mainspring.data.service_labels import LabelOperations
from mainspring.data.service_lfs import LfsOperations
from mainspring.data.service_tables import TableWork

__all__ = ["Data"]


class Data(TableWork, GitWork, IntegrityWork, LabelOperations, LfsOperations, room="data"):
    """Dataset versions."""
