"""Reading everything, saying what damage means, and mending it from remotes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainspring.data.forget_work import ForgetWork
from mainspring.data.remote_work import copy_blobs
from mainspring.data.service_integrity import Affected, IntegrityOperations, Mended
from mainspring.kernel.errors import MainspringError
from mainspring.store.check import StoreReport

__all__ = ["IntegrityReport", "IntegrityWork"]

_ASK = 10_000


class IntegrityReport(msgspec.Struct, frozen=True):
    """What a reading of everything found, and what it means for datasets."""

    store: StoreReport
    affected: list[Affected]
    mended: Mended | None = None
    """None where nothing was to be mended, or nobody asked."""
    failed: list[str] = []
    """Remotes that could not be asked, and why."""

    @property
    def intact(self) -> bool:
        """Whether nothing is damaged any more."""
        if self.mended is None:
            return self.store.intact
        ledger = self.store.ledger
        sound = not self.store.database and ledger is not None and ledger.intact
        return sound and not self.mended.remaining


class IntegrityWork(ForgetWork, IntegrityOperations):
    """Verifying and healing."""

    def verify(self, *, heal: bool = False, remotes: Sequence[str] = ()) -> IntegrityReport:
        """Read everything that is stored; name what is damaged, and the versions and files that it belongs to.

        Args:
            heal: Mend it: packs are written again where only their headers are damaged; blobs are fetched from
                remotes, checked, and stored again.
            remotes: Names, URLs or folders to fetch from; every remote that has a name when empty.
        """
        report = self.storage.verify()
        findings = report.blobs.findings if report.blobs else []
        damaged = sorted({finding.digest for finding in findings if finding.digest})
        affected = self.affected(damaged[:_ASK]) if damaged else []
        if not heal or not findings:
            return IntegrityReport(report, affected)
        remaining, failed = damaged, []
        for remote in remotes or [each.name for each in self.remotes()]:
            if not remaining:
                break
            try:
                remaining = self._heal_from(remote, remaining)
            except MainspringError as error:
                failed.append(f"{remote}: {error.message}")
        # Last: what was fetched lies elsewhere now, and a damaged pack may have damaged headers besides.
        rewritten = self.rewrite_packs(sorted({each.object for each in findings if each.object.startswith("packs/")}))
        left = set(remaining)
        healed = [digest for digest in damaged if digest not in left]
        return IntegrityReport(report, affected, Mended(healed, remaining, rewritten), failed)

    def _heal_from(self, remote: str, damaged: Sequence[str]) -> list[str]:
        """Store again what a remote has sound; what remains damaged."""
        here = self.own_depot()
        with self.remote_depot(remote) as there:
            absent = set(there.missing(list(damaged)))
            held = [digest for digest in damaged if digest not in absent]
            sizes: dict[str, int] = {}
            for start in range(0, len(held), _ASK):
                sizes |= self.blob_sizes(held[start : start + _ASK])
            for digest, size in sorted(sizes.items(), key=lambda each: each[1]):
                try:
                    copy_blobs(there, here, {digest: size})
                except MainspringError:
                    continue  # the remote's copy is damaged, too; another may have a better one
        return here.missing(damaged)
