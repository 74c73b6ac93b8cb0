import json

import pytest

from clarion.errors import UsageError
from clarion.loadgen.config import Protocol, Refresh
from clarion.loadgen.runner import Result, Totals
from clarion.loadgen.truth import Truth, read_truth, write_truth
from tests.loadgen.played import script


def finished(datagrams, **settings):
    run = script(exporters=3, **settings)
    records = run.schedule.records_through(datagrams)
    return Result(run, Totals(records=records, data_datagrams=datagrams))


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_truth_file_gives_the_run_again(tmp_path, protocol):
    result = finished(50, protocol=protocol, fps=1000.0, duration_s=60, refresh=Refresh(3, 9))
    path = tmp_path / "truth.jsonl"

    write_truth(path, result)
    truth = read_truth(path)

    original = Truth(result.script, 50)
    assert truth.script.config == result.script.config
    assert truth.records == result.totals.records
    assert [t.to_pylist() for t in truth.tables()] == [t.to_pylist() for t in original.tables()]


def test_it_says_what_each_exporter_sent(tmp_path):
    result = finished(42, protocol=Protocol.V9, fps=1000.0, duration_s=1.0)  # 41 x 24 + 16
    write_truth(tmp_path / "t", result)

    run, *exporters = map(json.loads, (tmp_path / "t").read_text().splitlines())

    assert run["records"] == 1000
    assert [e["records"] for e in exporters] == [14 * 24, 14 * 24, 13 * 24 + 16]
    assert [e["datagrams"] for e in exporters] == [14, 14, 14]
    assert [e["address"] for e in exporters] == ["127.1.0.1", "127.1.0.2", "127.1.0.3"]


def test_a_run_that_was_stopped_has_only_what_was_sent(tmp_path):
    write_truth(tmp_path / "t", finished(7, protocol=Protocol.IPFIX, duration_s=None))

    truth = read_truth(tmp_path / "t")

    assert sum(len(table) for table in truth.tables()) == truth.records == 7 * 24


def test_nothing_sent(tmp_path):
    write_truth(tmp_path / "t", finished(0, protocol=Protocol.V5))

    assert list(read_truth(tmp_path / "t").tables()) == []


@pytest.mark.parametrize("content", ["", "{}", "[]", "not json", '{"format": 1}'])
def test_not_a_truth_file(tmp_path, content):
    (tmp_path / "t").write_text(content)

    with pytest.raises(UsageError, match="is not a truth file"):
        read_truth(tmp_path / "t")


def test_no_file(tmp_path):
    with pytest.raises(UsageError, match="cannot read truth file"):
        read_truth(tmp_path / "none")
    with pytest.raises(UsageError, match="cannot write truth file"):
        write_truth(tmp_path / "none" / "t", finished(1))


def test_traffic_that_this_installation_would_not_make(tmp_path):
    path = tmp_path / "t"
    write_truth(path, finished(5))
    path.write_text(path.read_text().replace('"traffic_sha256": "', '"traffic_sha256": "0'))

    with pytest.raises(UsageError, match="whose traffic this installation does not make"):
        read_truth(path)
