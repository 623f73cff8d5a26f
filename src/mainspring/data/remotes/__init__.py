"""Remotes: other places that hold dataset versions, and what moves between them and a store.

Every place is a `Depot`: a bucket (a folder, S3, Google Cloud Storage, Azure) that needs no database, or a Mainspring.
"""

from __future__ import annotations
