"""One prediction: what went in and was looked up, what came out and turned out, and what it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.console.page import Ask, Crumb, Entry, Page
from mainspring.console.pages.lineage import Drawing, draw_graph
from mainspring.serving.types import Prediction

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ENTRIES"]


class PredictionPage(Page, frozen=True, kw_only=True):
    """The context of `prediction.html`."""

    template = "prediction.html"

    prediction: Prediction
    model_href: str
    drawing: Drawing
    sources: int


def prediction(client: Client, ask: Ask) -> PredictionPage:
    """A logged prediction by its id, `<request>-<row>`, with its way from the data."""
    found = client.serving.prediction(str(ask.params["prediction_id"]))
    why = client.serving.why_prediction(found.id)
    return PredictionPage(
        title=found.id,
        section="endpoints",
        crumbs=[
            Crumb("Endpoints", ask.link("/endpoints")),
            Crumb(found.endpoint, ask.link(f"/endpoints/{found.endpoint}")),
        ],
        prediction=found,
        model_href=ask.link(f"/models/{found.model.removeprefix('model/')}"),
        drawing=draw_graph(why.nodes, why.edges, ask, root=why.root, limit=40),
        sources=len(why.nodes) - 1,
    )


ENTRIES = (Entry("/predictions/{prediction_id}", prediction),)
