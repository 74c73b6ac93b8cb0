import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from clarion.flows.schema import FLOW_SCHEMA
from clarion.loadgen.config import Protocol
from clarion.loadgen.runner import Result, Totals
from clarion.loadgen.truth import Truth, write_truth
from tests.loadgen.played import script
from tests.processes import clarion, collector


@pytest.fixture
def sent(tmp_path):
    """A truth file, and the rows that should arrive."""
    run = script(protocol=Protocol.V9, fps=500.0, duration_s=1.0)
    datagrams = run.schedule.total_datagrams
    write_truth(tmp_path / "truth", Result(run, Totals(data_datagrams=datagrams)))
    return [row for table in Truth(run, datagrams).tables() for row in table.to_pylist()]


def deliver(rows, directory):
    directory.mkdir()
    table = pa.Table.from_pylist(rows, schema=FLOW_SCHEMA)
    pyarrow.parquet.write_table(table, directory / "flows.parquet")
    return f"parquet:{directory}"


def test_exit_0_when_every_record_arrived(sent, tmp_path):
    uri = deliver(sent, tmp_path / "flows")

    done = clarion("verify", "--truth", str(tmp_path / "truth"), uri, "--json")
    found = json.loads(done.stdout)

    assert done.returncode == 0
    assert {name: found[name] for name in ("event", "sent", "ok", "lost", "duplicate")} == {
        "event": "verify", "sent": 500, "ok": 500, "lost": 0, "duplicate": 0,
    }  # fmt: skip
    assert "flow_start" in found["columns"]


def test_exit_1_and_a_table_when_not(sent, tmp_path):
    uri = deliver(sent[1:] + sent[5:7], tmp_path / "flows")

    done = clarion("verify", "--truth", str(tmp_path / "truth"), uri)

    assert done.returncode == 1
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["sent", "500"], ["ok", "499"], ["lost", "1"], ["duplicate", "2"], ["corrupt", "0"],
        ["unexpected", "0"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("truth", "uri"), [("none", "parquet:."), ("truth", "parquet:none"), ("truth", "http://x")]
)
def test_exit_2_when_there_is_nothing_to_compare(sent, tmp_path, truth, uri):
    done = clarion("verify", "--truth", str(tmp_path / truth), uri)

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.net
@pytest.mark.parametrize("sink", ["parquet", pytest.param("ndjson", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("protocol", "flags"),
    [
        ("v5", []),
        ("v9", ["--ipv6-share", "0.3", "--template-refresh", "500ms,7"]),
        ("ipfix", ["--ipv6-share", "0.3", "--layer2", "--gso", "--exporters", "60"]),
    ],
)
def test_every_record_survives_our_collector(tmp_path, protocol, flags, sink):
    uri, truth = f"{sink}:{tmp_path / 'flows'}", str(tmp_path / "truth")
    with collector("--sink", uri) as running:
        clarion(
            "loadgen", "--fps", "20k", "--duration", "1s", "--protocol", protocol,
            "--target", f"127.0.0.1:{running.netflow_port}", "--truth", truth, "--quiet", *flags,
        )  # fmt: skip
        running.stop()
    done = clarion("verify", "--truth", truth, uri, "--json")

    assert json.loads(done.stdout)["ok"] == 20_000
    assert done.returncode == 0
