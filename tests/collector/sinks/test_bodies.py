"""Cutting rows into bodies: one exporter each, full ones first, no row twice and none left out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.collector.sinks import bodies as bodies_module
from clarion.collector.sinks.bodies import BodyCutter

EXPORTERS = ("192.0.2.1", "192.0.2.2", "2001:db8::3", None)


def rows_of(bodies) -> list[tuple[str | None, list[int]]]:
    """Each body's exporter and the numbers of its rows."""
    found = []
    for body in bodies:
        content = json.loads(body.content)
        assert {record["switch_id"] for record in content["records"]} == {content["switch_id"]}
        assert len(content["records"]) == body.rows
        found.append((content["switch_id"], [record["bytes"] for record in content["records"]]))
    return found


@given(
    st.lists(
        st.tuples(
            st.integers(0, 12),
            st.lists(st.sampled_from(EXPORTERS), min_size=1, max_size=4, unique=True),
            st.sampled_from([None, False, True]),
        ),
        max_size=6,
    ),
    st.integers(1, 5),
    st.sampled_from([1, 3, 100]),
)
def test_every_row_is_in_one_body(batches, rows_a_body, piece):
    from tests.collector.sinks.conftest import make_flows

    cutter = BodyCutter(rows_a_body)
    written, found = {name: [] for name in EXPORTERS}, []
    first = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies_module, "_PIECE_ROWS", piece)
        for rows, exporters, cut in [*batches, (0, EXPORTERS[:1], True)]:
            for n in range(first, first + rows):
                written[exporters[n % len(exporters)]].append(n)
            cutter.add(make_flows(rows, first=first, exporters=tuple(exporters)))
            first += rows
            if cut is not None:
                bodies = cutter.cut(everything=cut)
                assert all(body.rows <= rows_a_body for body in bodies)
                assert cut or all(body.rows == rows_a_body for body in bodies)
                found += rows_of(bodies)
                assert cutter.rows == first - sum(len(numbers) for _, numbers in found)

    assert cutter.rows == 0
    for exporter in EXPORTERS:
        # In the order they came.
        assert [n for name, ns in found if name == exporter for n in ns] == written[exporter]


def test_cutting_is_worth_it_when_as_much_is_new_as_was_left(flows):
    cutter = BodyCutter(100)
    exporters = tuple(f"192.0.2.{n}" for n in range(50))
    cutter.add(flows(99, exporters=exporters))
    assert not cutter.worth_cutting
    cutter.add(flows(900, exporters=exporters))
    assert cutter.worth_cutting
    assert cutter.cut(everything=False) == []
    assert cutter.rows == 999
    cutter.add(flows(998, exporters=exporters))
    assert not cutter.worth_cutting
    cutter.add(flows(1, exporters=exporters))
    assert cutter.worth_cutting


def test_too_many_waiting_rows_go_in_bodies_that_are_not_full(flows, monkeypatch):
    monkeypatch.setattr(bodies_module, "_MAX_WAITING_ROWS", 1000)
    cutter = BodyCutter(100)
    exporters = tuple(f"192.0.2.{n}" for n in range(50))
    cutter.add(flows(1000, exporters=exporters))

    assert [body.rows for body in cutter.cut(everything=False)] == [20] * 50
    assert cutter.rows == 0
