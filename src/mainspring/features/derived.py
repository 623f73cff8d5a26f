"""What was made of dataset versions of which a part must be forgotten: states of views, and training sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from mainspring.data.erasures import last_erasures
from mainspring.features.definitions import find_view, version_of
from mainspring.features.recording import root_of
from mainspring.features.tables import STATES
from mainspring.features.types import FeatureState, FeatureView
from mainspring.kernel.names import parse_reference
from mainspring.lineage import graph, lifetime, listing
from mainspring.lineage.types import Artifact, File
from mainspring.store.transaction import Transaction

__all__ = [
    "STATE",
    "TRAINING_SET",
    "Derived",
    "DerivedSet",
    "DerivedState",
    "DerivedView",
    "Replacement",
    "derived_of",
    "replace_content",
]

STATE = "feature-state"
TRAINING_SET = "training-set"
_PAGE = 1000
_FORGOTTEN = "forgotten_at"
_COMPUTED = "computed_rows"


class DerivedState(msgspec.Struct, frozen=True):
    """A state that is online, and what it was made of."""

    state: FeatureState
    view: FeatureView
    rows: int
    """How many of its facts were computed from its source; those after them were pushed."""
    upto: datetime
    """Until which moment these were taken."""
    source: str = ""
    """Id of the dataset version that they are to be computed from again; empty where that has not changed."""


class DerivedView(msgspec.Struct, frozen=True):
    """A view of which states were made of such versions."""

    name: str
    states: list[DerivedState]
    """One for each version of the view that is online."""
    earlier: list[str]
    """Ids of the states that were online before."""


class DerivedSet(msgspec.Struct, frozen=True):
    """A training set that was made of such versions."""

    id: str
    ref: str
    digest: str
    """Of its file."""
    computed: bool
    """Whether features were computed from them, which may count rows that are not its own."""


class Derived(msgspec.Struct, frozen=True):
    """All of it."""

    views: list[DerivedView]
    sets: list[DerivedSet]


class Replacement(msgspec.Struct, frozen=True):
    """What becomes of the file of a state or of a training set."""

    id: str
    """Of the artifact."""
    before: str = ""
    """The file that it has; another one means that somebody was faster. Empty where whatever it has goes."""
    after: str = ""
    """The file that it gets, which is stored already; empty where its bytes are given up."""
    computed: int = 0
    """Of a state: how many of its facts are computed from its source; those after them were pushed."""


def derived_of(tx: Transaction, versions: Sequence[str]) -> Derived:
    """What was made of dataset versions, and of those that were written again since: a forgetting may be cut off."""
    erased = last_erasures(tx)
    named = [graph.find_artifact(tx, each) for each in versions]
    names = {each.name for each in named} | {each.id for each in named}
    views: dict[str, None] = {}
    sets: dict[str, DerivedSet] = {}
    for version in dict.fromkeys([*versions, *erased]):
        since = None if version in versions else erased[version]
        for run in listing.users_of(tx, version, "materialization", "join"):
            for made in listing.made_by(tx, run.id, STATE, TRAINING_SET):
                if lifetime.is_emptied(tx, made.id) or (since is not None and _settled(made) >= since):
                    continue
                if made.kind == STATE:
                    views[made.name] = None
                else:
                    computed = _computes(tx, run.id, version) or (made.id in sets and sets[made.id].computed)
                    sets[made.id] = DerivedSet(made.id, made.ref, graph.files_of(tx, made.id)[0].digest, computed)
    online = tx.fetch(STATES, "WHERE workspace = ? ORDER BY name, version", (tx.workspace,))
    definitions = {each.view_id: find_view(tx, each.view_id).definition for each in online}
    for each in online:  # what was pushed came from the source, though no run used a version of it
        if _source_name(tx, definitions[each.view_id]) in names:
            views[each.name] = None
    changed = {**erased, **dict.fromkeys(versions, None)}
    found = [
        DerivedView(
            name,
            [_state(tx, each, definitions[each.view_id], changed) for each in online if each.name == name],
            list(_earlier(tx, name, {each.artifact_id for each in online})),
        )
        for name in sorted(views)
    ]
    return Derived(found, sorted(sets.values(), key=lambda each: each.ref))


def replace_content(tx: Transaction, change: Replacement, file: File | None, *, rows: int) -> None:
    """Give a state or a training set another file, or none; a state that is online becomes another generation."""
    artifact = graph.find_artifact(tx, change.id)
    if file is None:
        lifetime.empty(tx, [artifact.id])
        tx.execute("DELETE FROM feature_state WHERE artifact_id = ? AND workspace = ?", (artifact.id, tx.workspace))
        tx.note(artifact.ref, emptied=True, digest=artifact.digest)
        return
    known = artifact.metadata | {"rows": rows, _FORGOTTEN: tx.now.isoformat()}
    if artifact.kind == STATE:
        known[_COMPUTED] = min(change.computed, rows)
    lifetime.rewrite(tx, artifact.id, digest=root_of(file), size=file.size, metadata=known, files=[file])
    tx.execute(
        "UPDATE feature_state SET digest = ?, rows = ?, generation = generation + 1"
        " WHERE artifact_id = ? AND workspace = ?",
        (file.digest, rows, artifact.id, tx.workspace),
    )


def _settled(artifact: Artifact) -> datetime:
    """Since when it holds nothing of what was forgotten before."""
    told = artifact.metadata.get(_FORGOTTEN)
    return datetime.fromisoformat(told) if told else artifact.created_at


def _state(
    tx: Transaction, state: FeatureState, view: FeatureView, changed: Mapping[str, datetime | None]
) -> DerivedState:
    """A state with what it began with, which is found along what it grew from."""
    artifact = graph.find_artifact(tx, state.artifact_id)
    settled = _settled(artifact)
    root, seen = artifact, {artifact.id}
    rows = root.metadata.get(_COMPUTED)
    while (before := _grown_from(tx, root, seen)) is not None:
        root = before
        seen.add(root.id)
        rows = root.metadata.get(_COMPUTED) if rows is None else rows
    sources = listing.used_by(tx, root.run_id, "dataset") if root.run_id else []
    again = [each.id for each in sources if each.id in changed and ((at := changed[each.id]) is None or at > settled)]
    name = _source_name(tx, view)
    again.sort(key=lambda each: each not in {source.id for source in sources if source.name == name})
    about = graph.get_run(tx, root.run_id).metadata if root.run_id else {}
    upto = datetime.fromisoformat(about["upto"]) if about.get("upto") else state.upto
    if rows is None:
        rows = root.metadata.get("rows", state.rows) if sources else 0
    return DerivedState(state, view, min(int(rows), state.rows), upto, again[0] if again else "")


def _grown_from(tx: Transaction, artifact: Artifact, seen: set[str]) -> Artifact | None:
    before = listing.used_by(tx, artifact.run_id, STATE) if artifact.run_id else []
    return next((each for each in before if each.id not in seen), None)


def _computes(tx: Transaction, run_id: str, version: str) -> bool:
    """Whether a join computed features from a dataset version, rather than took its rows from it."""
    name = graph.find_artifact(tx, version).name
    views = listing.used_by(tx, run_id, "feature-view")
    return any(_source_name(tx, version_of(tx, each).definition) == name for each in views)


def _source_name(tx: Transaction, view: FeatureView) -> str:
    return lifetime.renamed(tx, "dataset", parse_reference(view.source, kind="dataset").name)


def _earlier(tx: Transaction, name: str, online: set[str]) -> Iterator[str]:
    before = ""
    while page := listing.artifacts(tx, kind=STATE, name=name, before=before, limit=_PAGE):
        yield from (each.id for each in page if each.id not in online and not lifetime.is_emptied(tx, each.id))
        before = page[-1].id
