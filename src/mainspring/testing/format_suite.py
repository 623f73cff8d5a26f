"""The conformance suite of model formats.

Whoever registers a format inherits it and says what the format holds:

    class TestMyFormat(FormatSuite):
        name = "mine"

        @pytest.fixture
        def model(self):
            return fitted

It needs pytest, numpy and polars, and nothing of the format but the port `mainspring.models.formats.Format`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from mainspring.engines.models import LABEL, PROBABILITY, Predictor
from mainspring.engines.signature import Field, Signature
from mainspring.kernel.errors import MainspringError, UnsupportedFormat
from mainspring.models.formats import (
    Format,
    SaveOptions,
    format_named,
    format_names,
    load_object,
    save_object,
)
from mainspring.models.native import native_predictor
from mainspring.models.package import open_package, read_manifest, write_package
from mainspring.models.policy import LoadPolicy

__all__ = ["FormatSuite"]

_JUNK = (b"", b"\x00" * 64, b"garbage", b"PK\x03\x04" + b"\xff" * 200, b"{}", b"\x80\x05K\x01.")


class FormatSuite:
    """Inherit, say `name`, give the fixture `model` (fitted on the columns `x0` and `x1`), run."""

    name: ClassVar[str] = ""
    """As it is registered."""
    unasked: ClassVar[bool] = True
    """Whether the format takes such a model without being named."""
    policy: ClassVar[LoadPolicy] = LoadPolicy()
    """What the format needs to be loaded; a format of data needs nothing."""
    options: ClassVar[SaveOptions] = SaveOptions()
    needs_policy: ClassVar[bool] = False
    """Whether the strict policy refuses it."""
    tolerance: ClassVar[float] = 1e-6

    @pytest.fixture
    def model(self) -> Any:
        """A fitted model of two numeric columns."""
        raise NotImplementedError

    @pytest.fixture
    def form(self) -> Format:
        """The format."""
        return format_named(self.name)

    @pytest.fixture
    def rows(self) -> dict[str, Any]:
        """Rows to ask."""
        import numpy as np

        random = np.random.default_rng(5)
        return {"x0": random.normal(size=40), "x1": random.normal(size=40)}

    @pytest.fixture
    def signature(self) -> Signature:
        """Two numbers."""
        return Signature(inputs=(Field("x0", "FP64"), Field("x1", "FP64")))

    @pytest.fixture
    def folder(self, model: Any, signature: Signature, rows: dict[str, Any], tmp_path: Path) -> Path:
        """The model, saved."""
        where = tmp_path / "saved"
        write_package(
            model,
            where,
            signature=signature,
            example=rows,
            format=self.name,
            policy=self.policy,
            compiled=False,
            options=self.options,
        )
        return where

    def test_it_is_registered(self) -> None:
        """A format is found by its name."""
        assert self.name in format_names()

    def test_it_knows_its_models_and_no_others(self, form: Format, model: Any, tmp_path: Path) -> None:
        """What it does not accept it does not save either."""
        assert form.accepts(model) == self.unasked
        for other in (None, 3, "words", object()):
            assert not form.accepts(other)
        with pytest.raises(MainspringError):
            form.save(_Nothing(), tmp_path, SaveOptions())

    def test_it_says_what_it_wrote(self, form: Format, model: Any, tmp_path: Path) -> None:
        """Every file that is there is named, and nothing else is."""
        _, saved = save_object(model, tmp_path, name=self.name, policy=self.policy, options=self._options(model))
        there = {each.relative_to(tmp_path).as_posix() for each in tmp_path.rglob("*") if each.is_file()}
        assert set(saved.files) == there

    def test_it_answers_as_before(self, folder: Path, model: Any, signature: Signature, rows: dict[str, Any]) -> None:
        """What was saved answers as the original does, labels exactly."""
        import numpy as np

        found = open_package(folder, policy=self.policy)
        try:
            answer, expected = found.predict(rows), self.original(model, signature).predict(rows)
        finally:
            found.close()
        assert sorted(answer) == sorted(expected)
        for key, values in expected.items():
            if key == LABEL:
                assert answer[key].tolist() == values.tolist()
            else:
                np.testing.assert_allclose(answer[key], values, rtol=0, atol=self.tolerance)
        if PROBABILITY in answer:
            assert answer[PROBABILITY].shape == (40, 2)

    def test_the_manifest_checks_its_files(self, folder: Path) -> None:
        """A changed file is found out before anything reads it."""
        manifest = read_manifest(folder)
        assert manifest.format == self.name
        path = folder / manifest.files[0].path
        path.write_bytes(path.read_bytes() + b" ")
        with pytest.raises(MainspringError, match="digest"):
            open_package(folder, policy=self.policy)

    @pytest.mark.parametrize("junk", _JUNK, ids=range(len(_JUNK)))
    def test_junk_is_an_error_of_ours(self, folder: Path, signature: Signature, junk: bytes) -> None:
        """A file that is none of the format's raises an error of ours, and neither crashes nor is a model."""
        path = folder / read_manifest(folder).files[0].path
        path.write_bytes(junk)
        with pytest.raises(MainspringError):  # the last is a pickle, but of a number
            native_predictor(load_object(self.name, folder, policy=self.policy), signature)

    def test_the_strict_policy(self, form: Format, folder: Path) -> None:
        """Data loads under the strict policy; a program does not."""
        if not self.needs_policy:
            form.check(folder, LoadPolicy())
            return
        with pytest.raises(UnsupportedFormat, match=r"policy|trusted"):
            form.check(folder, LoadPolicy())
        with pytest.raises(UnsupportedFormat):
            open_package(folder)

    def original(self, model: Any, signature: Signature) -> Predictor:
        """The model before it was saved."""
        return native_predictor(model, signature)

    def _options(self, model: Any) -> SaveOptions:
        import numpy as np

        return self.options._replace(inputs=self.options.inputs or (np.zeros((4, 2)),))


class _Nothing:
    """No model, and nothing that can be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("it stays here")
