"""The operations on suites: kept in versions, inferred from data, read from and written to the field's formats."""

from __future__ import annotations

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.lineage.types import Artifact
from mainspring.quality import recording
from mainspring.quality.keeping import KeepingService
from mainspring.quality.suite import as_suite
from mainspring.quality.types import Suite
from mainspring.quality.validation import Suitable

__all__ = ["SuiteOperations"]


class SuiteOperations(KeepingService):
    """Suites of expectations."""

    @operation(permission="quality:write", writes=True)
    def save_suite(self, suite: Suite) -> Artifact:
        """Keep a version of a suite; the known one when it says the same already."""
        checked = as_suite(suite)
        check_name(checked.name, what="suite")
        if not checked.expectations:
            raise InvalidInput(f"suite {checked.name!r} expects nothing", hint="add expectations before saving it")
        file = self._put(checked, "suite.json")
        with self.store.write() as tx:
            return recording.add(
                tx, "suite", checked.name, file, {"expectations": len(checked.expectations)}, reuse=True
            )

    @operation(permission="quality:read")
    def suite(self, ref: str) -> Suite:
        """The suite that a reference means: `flights@2`, `flights` (the newest) or an id."""
        return self._get(ref, "suite", Suite)

    @operation(permission="quality:read")
    def suites(self) -> list[Artifact]:
        """The newest version of every suite, by name."""
        return self._newest("suite")

    def saved_suite(self, suite: Suitable | str) -> tuple[Suite, str]:
        """A suite and the reference under which it is kept: that of a name, or one that is made for it now."""
        if isinstance(suite, str):
            return self.suite(suite), suite
        checked = as_suite(suite)
        return checked, self.save_suite(checked).ref
