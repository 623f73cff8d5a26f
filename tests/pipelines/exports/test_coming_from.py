"""Our side of the guides for those who come from elsewhere, run durably; the other side is asked in `test_peers.py`."""

from __future__ import annotations

import bills
import demand
import pytest
import wines

import mainspring as ms
from mainspring.pipelines.exports.trace import trace


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("flow", "arguments", "result"),
    [
        (bills.bills, {}, "sent 188.25"),
        (bills.bills, {"month": "2026-12", "tariff": 0.3}, "review 226.8"),
        (demand.demand, {}, demand.Fit(7, 7.0)),
        (demand.demand, {"days": 10}, demand.Fit(7, 7.0)),
        (wines.wines, {"bottles": 24}, 50),
    ],
)
def test_flows_of_the_guides_come_to_what_they_say(flow, arguments, result, tmp_path):
    client = ms.connect(str(tmp_path / "store"))
    assert flow.run(client, **arguments) == result
    assert client.pipelines.runs()[0].state == "finished"


def test_which_of_them_have_a_graph():
    assert [node.name for node in trace(wines.wines).nodes] == ["taste", "judge", "choose"]
    assert [node.name for node in trace(demand.demand).nodes] == ["read", "fit", "pick"]
    assert "`if total > 200:` compares the result of add-up" in trace(bills.bills).dynamic
