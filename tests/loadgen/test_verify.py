import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from clarion.errors import UsageError
from clarion.flows.schema import FLOW_SCHEMA
from clarion.loadgen.config import Protocol
from clarion.loadgen.delivered import open_delivered
from clarion.loadgen.truth import Truth
from clarion.loadgen.verify import verify
from tests.loadgen.played import script


@pytest.fixture(params=list(Protocol))
def truth(request):
    run = script(protocol=request.param, fps=1000.0, duration_s=3.0, exporters=5)
    return Truth(run, run.schedule.total_datagrams)


def delivered_rows(truth):
    return [row for table in truth.tables() for row in table.to_pylist()]


def as_parquet(rows, directory):
    """Write rows as a collector does: all flow columns, in hourly directories."""
    for part, some in enumerate((rows[::2], rows[1::2])):
        path = directory / "date=2025-11-24" / f"hour={part}" / "flows-1.parquet"
        path.parent.mkdir(parents=True)
        pyarrow.parquet.write_table(pa.Table.from_pylist(some, schema=FLOW_SCHEMA), path)
    return f"parquet:{directory}"


def as_ndjson(rows, directory):
    names = FLOW_SCHEMA.names
    lines = [json.dumps({name: row.get(name) for name in names}) + "\n" for row in rows]
    (directory / "flows.json").write_text("".join(lines))
    return f"ndjson:{directory / 'flows.json'}"


SINKS = pytest.mark.parametrize("sink", [as_parquet, as_ndjson])


@SINKS
def test_all_arrived(truth, sink, tmp_path):
    uri = sink(delivered_rows(truth), tmp_path)

    verdict = verify(truth, open_delivered(uri))

    assert verdict.good
    assert (verdict.sent, verdict.ok) == (3000, 3000)


def changed(row, **values):
    return row | values


@SINKS
@pytest.mark.parametrize("part_rows", [4_000_000, 500])
def test_damage_is_found_exactly(truth, sink, part_rows, tmp_path):
    rows = delivered_rows(truth)
    kept = rows[:2900]  # 100 lost
    kept[10] = changed(kept[10], bytes=kept[10]["bytes"] + 1)
    kept[11] = changed(kept[11], flow_end=kept[11]["flow_end"] + 1)
    kept[12] = changed(kept[12], next_hop=None)
    kept += kept[500:507]  # 7 duplicates
    kept += [kept[600]] * 3
    kept.append(changed(kept[700], switch_id="192.0.2.99"))
    kept.append(changed(kept[701], src_port=None))
    uri = sink(kept, tmp_path)

    verdict = verify(truth, open_delivered(uri), part_rows=part_rows)

    assert verdict.corrupt == 3
    assert verdict.lost == 100
    assert verdict.duplicate == 10
    assert verdict.unexpected == 2
    assert verdict.sent == verdict.ok + verdict.lost + verdict.corrupt
    assert len(kept) == verdict.ok + verdict.duplicate + verdict.corrupt + verdict.unexpected
    assert not verdict.good


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_change_in_any_compared_column_shows(protocol, tmp_path):
    run = script(protocol=protocol, fps=100.0, duration_s=1.0, exporters=2)
    truth = Truth(run, run.schedule.total_datagrams)
    for place, name in enumerate(truth.schema.names):
        rows = delivered_rows(truth)
        other = "192.0.2.200" if isinstance(rows[0][name], str) else rows[0][name] ^ 1
        rows[0] = changed(rows[0], **{name: other})
        directory = tmp_path / str(place)
        directory.mkdir()

        verdict = verify(truth, open_delivered(as_ndjson(rows, directory)))

        assert not verdict.good, name
        assert verdict.ok == 99, name
        assert verdict.corrupt + verdict.unexpected == 1, name


def test_ipv6_and_mac_addresses(tmp_path):
    run = script(protocol=Protocol.IPFIX, fps=500.0, duration_s=2.0, ipv6_share=0.5, layer2=True)
    truth = Truth(run, run.schedule.total_datagrams)
    rows = delivered_rows(truth)

    assert {":" in row["src_ip"] for row in rows} == {True, False}
    assert {"src_mac", "dst_mac", "vlan_id"} < set(truth.schema.names)
    assert verify(truth, open_delivered(as_parquet(rows, tmp_path))).good


def test_nothing_arrived(truth, tmp_path):
    (tmp_path / "flows").mkdir()

    verdict = verify(truth, open_delivered(f"parquet:{tmp_path / 'flows'}"))

    assert (verdict.ok, verdict.lost) == (0, 3000)


def test_a_file_that_is_still_being_written_is_not_read(truth, tmp_path):
    uri = as_parquet(delivered_rows(truth), tmp_path)
    (tmp_path / "date=2025-11-24" / "hour=0" / ".flows-2.parquet.tmp").write_bytes(b"half")

    assert verify(truth, open_delivered(uri)).good


@pytest.mark.parametrize("uri", ["", "parquet:", "kafka://host/topic", "flows"])
def test_sinks_that_cannot_be_read_back(uri):
    with pytest.raises(UsageError, match=r"wanted parquet:DIR or ndjson:FILE"):
        open_delivered(uri)


def test_a_sink_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no such directory"):
        open_delivered(f"parquet:{tmp_path / 'none'}")


def test_broken_files_are_one_clear_line(truth, tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"not parquet at all")
    (tmp_path / "x.json").write_text("{not json}\n")

    with pytest.raises(UsageError, match="cannot read"):
        verify(truth, open_delivered(f"parquet:{tmp_path}"))
    with pytest.raises(UsageError, match="cannot read"):
        verify(truth, open_delivered(f"ndjson:{tmp_path / 'x.json'}"))
