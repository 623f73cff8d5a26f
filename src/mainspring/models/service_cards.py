"""The operations of model cards, and of what differs between two versions."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainspring.kernel.errors import NotFound
from mainspring.kernel.operations import operation
from mainspring.models.cards import card_texts, evaluations_of, read_card, read_evaluations, write_text
from mainspring.models.diff import diff_versions
from mainspring.models.types import CardText, ModelCard, VersionDiff
from mainspring.store.service import RoomService

__all__ = ["CardOperations"]


class CardOperations(RoomService):
    """Everything about a version, on one page."""

    @operation(permission="models:read", resource="ref")
    def card(self, ref: str) -> ModelCard:
        """Everything that is known about a version: read from the graph and its reports, with what people wrote."""
        return self._card(ref)

    @operation(permission="models:read", resource="ref")
    def render_card(self, ref: str, *, format: Literal["md", "json", "html"] = "md") -> str:  # noqa: A002
        """The card as a document.

        Args:
            ref: The version.
            format: `md` for Hugging Face's README.md, `json` for Google's Model Card Toolkit, `html` for a page.
        """
        from mainspring.models.card_formats import to_google, to_html, to_markdown

        card = self._card(ref)
        if format == "json":
            plain = to_google(card, self._since_the_last(card))
            return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()
        return to_markdown(card) if format == "md" else to_html(card)

    @operation(permission="models:write", writes=True, resource="ref")
    def write_card(self, ref: str, section: str, text: str) -> CardText:
        """Write a section of a card: of one version (`name@3`), or of all versions of a model (`name`).

        Args:
            ref: The version or the model.
            section: One of `models.cards.SECTIONS`: summary, direct-use, limitations, license, owners, ...
            text: In Markdown; an empty one takes the section out.
        """
        with self.store.write() as tx:
            return write_text(tx, ref, section, text)

    @operation(permission="models:read", resource="ref")
    def card_texts(self, ref: str, *, section: str = "") -> list[CardText]:
        """Everything that was ever written into a card, newest first: who, when, what."""
        with self.store.read() as tx:
            return card_texts(tx, ref, section=section)

    @operation(permission="models:read", resource="before")
    def diff(self, before: str, after: str) -> VersionDiff:
        """What differs between two versions: parameters, figures, data, code, environment, signature."""
        with self.store.read() as tx:
            return diff_versions(tx, before, after)

    def _card(self, ref: str) -> ModelCard:
        with self.store.read() as tx:
            card = read_card(tx, ref)
            reports = evaluations_of(tx, card)
        return msgspec.structs.replace(card, evaluations=read_evaluations(self.store.blobs, reports))

    def _since_the_last(self, card: ModelCard) -> VersionDiff | None:
        version = card.version
        try:
            with self.store.read() as tx:
                return diff_versions(tx, f"{version.name}@{version.version - 1}", version.id)
        except NotFound:
            return None
