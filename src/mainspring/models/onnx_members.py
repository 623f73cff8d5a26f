"""Splits on sets of categories, as columns of a table.

A split "is this category in the set" becomes a column that holds 0 where the row goes left and 1 where it goes right,
looked up from the category's code; the tree then asks `column <= 0.5`. Equal sets share a column. The set-membership
mode of ONNX's own trees is not used: it has no answer for codes that training never saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mainspring.models.onnx_graph import ML, Column, Graph, cannot_compile

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HALF", "Memberships", "coded"]

HALF = 0.5
_FLOAT, _INT64, _DOUBLE = 1, 7, 11  # TensorProto element types


class Memberships:
    """The sets that a model's splits ask about, per column of codes.

    Args:
        columns: The model's columns; the sets become further columns after them.
        above: A code must be greater than this (and less than the size of its table) to be looked up.
        single: Whether the library rounds codes to single precision first.
    """

    def __init__(self, columns: Sequence[Column], *, above: float, single: bool = False) -> None:
        self._single = single
        self._columns = columns
        self._above = above
        self._sets: dict[tuple[int, bytes, bool, bool], int] = {}
        self._tables: dict[int, list[NDArray[Any]]] = {}
        self._order: list[tuple[int, int]] = []

    def column(
        self, feature: int, left: NDArray[Any], *, otherwise_left: bool, missing_left: bool | None = None
    ) -> int:
        """A number for the column that asks whether `feature` goes left; `emit` says which column that becomes.

        Args:
            feature: Which column holds the codes.
            left: Per code from 0, whether it goes left.
            otherwise_left: Whether what has no code (negative, past the end) goes left.
            missing_left: Whether what is missing does; as what has no code, where left out.
        """
        import numpy as np

        absent_left = otherwise_left if missing_left is None else missing_left
        bits = np.packbits(left).tobytes() + len(left).to_bytes(4, "little")
        key = (feature, bits, otherwise_left, absent_left)
        if key not in self._sets:
            sides = np.where(np.append(left, [otherwise_left, absent_left]), 0.0, 1.0)
            self._tables.setdefault(feature, []).append(sides)
            self._order.append((feature, len(self._tables[feature]) - 1))
            self._sets[key] = len(self._columns) + len(self._order) - 1
        return self._sets[key]

    def emit(self, graph: Graph) -> tuple[list[Column], NDArray[Any]]:
        """The model's columns followed by one per set, and the place there of every number that was given out.

        The sets of one feature lie side by side, so that they are one lookup and not hundreds.
        """
        import numpy as np

        found: list[Column] = list(self._columns)
        start: dict[int, int] = {}
        for feature, tables in self._tables.items():
            size = max(len(table) for table in tables) - 2
            wide = np.stack([_widen(table, size) for table in tables], axis=1)
            code = graph.vector(self._columns[feature])
            if self._single:
                code = graph.node("Cast", graph.node("Cast", code, to=_FLOAT), to=_DOUBLE)
            graph.decides(self._columns[feature], [float(value) for value in range(-1, size + 2)])
            inside = graph.node(
                "And",
                graph.node("Greater", code, graph.constant(np.float64(self._above))),
                graph.node("Less", code, graph.constant(np.float64(size))),
            )
            row = graph.node("Where", inside, code, graph.constant(np.float64(size)))
            if any(table[-1] != table[-2] for table in tables):
                row = graph.node("Where", graph.node("IsNaN", code), graph.constant(np.float64(size + 1)), row)
            known = graph.node("Cast", row, to=_INT64)
            start[feature] = len(found)
            found += graph.columns(graph.node("Gather", graph.constant(wide), known, axis=0), len(tables))
        places = [*range(len(self._columns)), *(start[feature] + place for feature, place in self._order)]
        return found, np.array(places, dtype=np.int64)


def coded(graph: Graph, column: Column, categories: Sequence[Any]) -> Column:
    """A column of a frame's categories as their places in the list; NaN for what is not in it."""
    import numpy as np

    texts = all(isinstance(each, str) for each in categories)
    if texts != column.text:
        raise cannot_compile("categories that are not of their column's type")
    places = np.arange(len(categories), dtype=np.float64)
    if texts:
        found = graph.node(
            "LabelEncoder",
            graph.matrix([column], text=True),
            domain=ML,
            keys_strings=list(categories),
            values_int64s=[int(place) for place in places],
            default_int64=-1,
        )
        wide = graph.node("Cast", found, to=_DOUBLE)
        unknown = graph.node("Less", wide, graph.constant(np.float64(0.0)))
        return graph.columns(graph.node("Where", unknown, graph.constant(np.float64(np.nan)), wide), 1)[0]
    values = np.asarray(categories, dtype=np.float64)
    graph.decides(column, values.tolist())
    made = graph.node(
        "LabelEncoder",
        graph.matrix([column]),
        domain=ML,
        keys_tensor=values,
        values_tensor=places,
        default_tensor=np.array([np.nan]),
    )
    return graph.columns(made, 1)[0]


def _widen(table: NDArray[Any], size: int) -> NDArray[Any]:
    """Tables of one feature to one length: codes past a set's own end go where everything else goes."""
    import numpy as np

    return np.concatenate([table[:-2], np.full(size + 1 - len(table) + 2, table[-2]), table[-1:]])
