"""Parquet files: complete when visible, found by date and hour, every row accounted for."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from clarion.collector.sinks import SinkSettings, open_sink
from clarion.collector.sinks.parquet_file import ParquetFile
from clarion.flows.schema import FLOW_SCHEMA


class Clocks:
    """A monotonic and a wall clock, set by hand; 2026-09-21T14:13:20Z at first."""

    def __init__(self):
        self.monotonic = 100.0
        self.wall = 1_790_000_000.0

    def settings(self, **others) -> SinkSettings:
        return SinkSettings(clock=lambda: self.monotonic, wall_clock=lambda: self.wall, **others)


@pytest.fixture
def clocks():
    return Clocks()


def visible(directory):
    return sorted(directory.rglob("[!.]*.parquet"))


def hidden(directory):
    return sorted(directory.rglob(".*"))


def read(directory) -> pa.Table:
    return ds.dataset(directory, partitioning="hive").to_table()


def open_parquet(directory, clocks, **settings):
    return open_sink(f"parquet:{directory}", clocks.settings(**settings))


def test_rows_read_back_with_their_partition(tmp_path, clocks, flows, account):
    sink = open_parquet(tmp_path, clocks)
    batches = [flows(3), flows(2, first=3, exporters=("192.0.2.9", "2001:db8::9"))]
    for batch in batches:
        sink.write(batch)
    assert account(sink, 5) == (0, 0, 5)
    sink.close()

    assert account(sink, 5) == (5, 0, 0)
    [path] = visible(tmp_path)
    assert path.parent == tmp_path / "date=2026-09-21" / "hour=14"
    assert path.name.startswith(f"flows-20260921T141320Z-{os.getpid()}-")
    table = read(tmp_path)
    assert table.column_names == [*FLOW_SCHEMA.names, "date", "hour"]
    assert set(table["date"].to_pylist()) == {"2026-09-21"}
    expected = [row for batch in batches for row in batch.to_pylist()]
    assert table.select(FLOW_SCHEMA.names).to_pylist() == expected
    assert pq.read_schema(path).equals(FLOW_SCHEMA)
    assert hidden(tmp_path) == []


def test_a_file_in_progress_cannot_be_seen(tmp_path, clocks, flows, account):
    sink = open_parquet(tmp_path, clocks)
    sink.write(flows(70_000))  # more than a row group: a file is begun

    assert visible(tmp_path) == []
    assert len(hidden(tmp_path)) == 1
    assert read(tmp_path).num_rows == 0
    assert account(sink, 70_000) == (0, 0, 70_000)
    sink.close()
    assert read(tmp_path).num_rows == 70_000


def test_a_file_is_complete_at_its_age(tmp_path, clocks, flows, account):
    sink = open_parquet(tmp_path, clocks, file_seconds=60)
    sink.write(flows(5))
    clocks.monotonic += 59
    sink.tick(clocks.monotonic)
    assert visible(tmp_path) == []
    clocks.monotonic += 1
    sink.tick(clocks.monotonic)
    assert account(sink, 5) == (5, 0, 0)

    # The age is that of the next file's first row.
    clocks.monotonic += 100
    sink.write(flows(5))
    sink.tick(clocks.monotonic)
    assert account(sink, 10) == (5, 0, 5)
    sink.close()
    assert [pq.read_metadata(path).num_rows for path in visible(tmp_path)] == [5, 5]


def test_a_file_is_complete_at_its_size(tmp_path, clocks, flows, account):
    sink = open_parquet(tmp_path, clocks, file_bytes=100_000)
    for n in range(6):
        sink.write(flows(65_536, first=n * 65_536))
    written = 6 * 65_536
    sizes = [path.stat().st_size for path in visible(tmp_path)]

    assert len(sizes) > 1
    assert min(sizes) >= 100_000
    delivered, _, _ = account(sink, written)
    assert delivered == read(tmp_path).num_rows
    sink.close()
    assert account(sink, written) == (written, 0, 0)
    assert sorted(read(tmp_path)["bytes"].to_pylist()) == list(range(written))


def test_a_new_hour_is_a_new_file(tmp_path, clocks, flows):
    sink = open_parquet(tmp_path, clocks)
    sink.write(flows(1))
    clocks.wall += 3600
    sink.tick(clocks.monotonic)
    sink.write(flows(2))
    sink.close()

    counts = {p.parent.name: pq.read_metadata(p).num_rows for p in visible(tmp_path)}
    assert counts == {"hour=14": 1, "hour=15": 2}


def test_small_batches_become_one_row_group(tmp_path, clocks, flows):
    sink = open_parquet(tmp_path, clocks)
    for n in range(50):
        sink.write(flows(20, first=20 * n, exporters=(f"192.0.2.{n}", "192.0.2.200")))
    sink.close()

    [path] = visible(tmp_path)
    assert pq.read_metadata(path).num_row_groups == 1
    table = pq.read_table(path)
    assert table["bytes"].to_pylist() == list(range(1000))
    assert table["switch_id"].to_pylist()[40:42] == ["192.0.2.2", "192.0.2.200"]


def test_a_large_batch_is_cut_into_row_groups(tmp_path, clocks, flows):
    sink = open_parquet(tmp_path, clocks)
    sink.write(flows(300_000))
    sink.close()

    [path] = visible(tmp_path)
    assert pq.read_metadata(path).num_row_groups == 2


def test_two_sinks_share_a_directory(tmp_path, clocks, flows):
    sinks = [open_parquet(tmp_path, clocks) for _ in range(2)]
    for n, sink in enumerate(sinks):
        sink.write(flows(10, first=10 * n))
    for sink in sinks:
        sink.close()

    assert sorted(read(tmp_path)["bytes"].to_pylist()) == list(range(20))


def test_no_file_without_rows(tmp_path, clocks, flows, account):
    sink = open_parquet(tmp_path, clocks)
    sink.write(flows(0))
    sink.tick(clocks.monotonic + 1000)
    sink.close()
    sink.close()

    assert account(sink, 0) == (0, 0, 0)
    assert list(tmp_path.iterdir()) == []


def test_what_a_crash_left_goes_after_an_hour(tmp_path, clocks, caplog):
    folder = tmp_path / "date=2026-09-21" / "hour=13"
    folder.mkdir(parents=True)
    old, young = folder / ".flows-a.parquet.tmp", folder / ".flows-b.parquet.tmp"
    for path in (old, young):
        path.write_bytes(b"PAR1")
    os.utime(old, (time.time() - 7200,) * 2)
    open_parquet(tmp_path, clocks).close()

    assert hidden(tmp_path) == [young]
    assert "a crash left incomplete" in caplog.text


@pytest.mark.parametrize("step", ["write", "complete", "__init__"])
def test_a_full_disk_loses_one_file_and_says_so(
    step, tmp_path, clocks, flows, account, monkeypatch, caplog
):
    sink = open_parquet(tmp_path, clocks)
    real = getattr(ParquetFile, step)

    def full(self, *args):
        real(self, *args)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ParquetFile, step, full)
        sink.write(flows(70_000))
        sink.write(flows(10))
        sink.tick(clocks.monotonic + 61)
        sink.write(flows(7))
        sink.tick(clocks.monotonic + 200)
    _, failed, _ = account(sink, 70_017)
    assert failed == 70_017
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "No space left on device" in errors[0].getMessage()
    assert "free some space" in errors[0].getMessage()

    caplog.set_level(logging.INFO)
    sink.write(flows(5, first=100))
    sink.close()
    assert account(sink, 70_022) == (5, 70_017, 0)
    assert "again" in caplog.text
    if step != "complete":  # the fault came after the file had its name
        assert read(tmp_path).num_rows == 5


REFUSED = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from conftest import check_account, make_flows
from clarion.collector.sinks import SinkSettings, open_sink

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
sink = open_sink("parquet:" + sys.argv[1], SinkSettings())
sink.write(make_flows(200_000))
sink.close()
assert check_account(sink, 200_000) == (0, 200_000, 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
sink.write(make_flows(3))
sink.close()
assert check_account(sink, 200_003) == (3, 200_000, 0)
"""


def test_the_operating_system_refuses_to_write(tmp_path):
    """RLIMIT_FSIZE, in a process of its own: a full disk without a disk to fill."""
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, tmp_path, here],
        capture_output=True,
        text=True,
        cwd=here.parents[2],
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "File too large" in done.stderr
    assert hidden(tmp_path) == []
    assert read(tmp_path).num_rows == 3


def test_the_largest_and_smallest_numbers_read_back(tmp_path, clocks, flows):
    """Packed deltas wrap around; the numbers do not."""
    largest = {pa.uint8(): 2**8, pa.uint16(): 2**16, pa.uint32(): 2**32, pa.uint64(): 2**64}
    batch = flows(4)
    columns = [
        pa.array([0, largest[f.type] - 1, None, 1], f.type) if f.type in largest else batch[f.name]
        for f in FLOW_SCHEMA
    ]
    batch = pa.record_batch(columns, schema=FLOW_SCHEMA)
    sink = open_parquet(tmp_path, clocks)
    sink.write(batch)
    sink.close()

    assert read(tmp_path).select(FLOW_SCHEMA.names).to_pylist() == batch.to_pylist()
