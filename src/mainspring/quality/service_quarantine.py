"""Dividing the rows of a version into those that hold and the others, as versions of their own."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal, overload

import msgspec

from mainspring.data.service import Data
from mainspring.data.types import DatasetVersion
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.service_validation import ValidationOperations
from mainspring.quality.suite import as_suite
from mainspring.quality.validation import Suitable, quarantine

__all__ = ["QuarantineWork", "Quarantined"]

_REASONS = "__reasons__"


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """The versions that a quarantine made."""

    source: DatasetVersion
    clean: DatasetVersion | None
    """The rows that hold; the source itself when all do, None when it was not asked for or no row holds."""
    quarantined: DatasetVersion | None
    """The rows that do not, with the column `__reasons__`; None when there are none."""
    rows: int
    """How many were quarantined."""
    reasons: dict[str, int]
    """How many rows failed for each reason."""


class QuarantineWork(ValidationOperations):
    """Quarantine, where the data is."""

    @overload
    def quarantine(self, data: Any, suite: Suitable | str, *, commit: Literal[False] = False) -> tuple[Any, Any]: ...

    @overload
    def quarantine(
        self, data: str, suite: Suitable | str, *, commit: Literal[True], name: str = "", clean: str | None = None
    ) -> Quarantined: ...

    def quarantine(
        self, data: Any, suite: Suitable | str, *, commit: bool = False, name: str = "", clean: str | None = None
    ) -> tuple[Any, Any] | Quarantined:
        """Divide the rows into those that hold and the others, with a column `__reasons__`.

        Args:
            data: A reference (`flights@3`) or a frame.
            suite: A suite, a builder, a list of expectations, or the reference of a saved suite.
            commit: Make versions of both, derived from the source and the suite; otherwise two frames are given back.
            name: Of the dataset of rows that do not hold; by default the source's with `-quarantine` behind.
            clean: Of the dataset of rows that hold; by default the source's with `-clean` behind. Empty makes none.

        Example:
            >>> import polars as pl, tempfile
            >>> from mainspring.client import connect
            >>> from mainspring.quality.suite import expect
            >>> with connect(tempfile.mkdtemp()) as client:
            ...     version = client.data.commit("numbers", pl.DataFrame({"n": [1, -2, 3]}))
            ...     suite = expect("numbers").column("n").between(0, 9)
            ...     found = client.quality.quarantine("numbers@1", suite, commit=True)
            >>> found.clean.rows, found.quarantined.ref, found.reasons
            (2, 'dataset/numbers-quarantine@1', {'values of n are expected to be at least 0 and at most 9': 1})
        """
        checked = self.suite(suite) if isinstance(suite, str) else as_suite(suite)
        if not commit:
            return quarantine(self._table(data)[0], checked)
        if not isinstance(data, str):
            raise InvalidInput(
                "only a version of a dataset is quarantined into versions", hint="commit the frame first"
            )
        source = self._version(data)
        good, bad = quarantine(Data(self._backend).scan(source.id), checked)
        if not bad.height:
            return Quarantined(source=source, clean=source, quarantined=None, rows=0, reasons={})
        ref = suite if isinstance(suite, str) else self.save_suite(checked).ref
        used = [source.ref, ref if ref.startswith("suite/") else f"suite/{ref}"]
        reasons = dict(Counter(reason for row in bad.get_column(_REASONS).to_list() for reason in row))
        facts = {"quarantined_from": source.ref, "suite": used[1]}
        kept = None
        if clean != "" and good.height:
            message = f"{good.height:,} rows of {source.ref} that hold"
            kept = self._commit(clean or f"{source.name}-clean", good, message, used, facts)
        message = f"{bad.height:,} rows of {source.ref} that do not hold"
        name = name or f"{source.name}-quarantine"
        made = self._commit(name, bad, message, used, {**facts, "reasons": reasons})
        return Quarantined(source=source, clean=kept, quarantined=made, rows=bad.height, reasons=reasons)

    def _commit(self, name: str, frame: Any, message: str, used: list[str], facts: dict[str, Any]) -> DatasetVersion:
        return Data(self._backend).commit(name, frame, message=message, uses=used, metadata=facts, origin=used[0])
