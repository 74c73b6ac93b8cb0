"""JSON lines: whole lines only, whatever the disk or the reader does."""

import json
import logging
import os
import threading

import pytest

from clarion.collector.sinks import SinkSettings, open_sink
from clarion.flows.schema import FLOW_SCHEMA


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_are_appended_at_the_next_tick(tmp_path, flows, account):
    path = tmp_path / "flows.json"
    path.write_text('{"bytes":-1}\n')
    sink = open_sink(f"ndjson:{path}", SinkSettings())
    sink.write(flows(3))
    assert account(sink, 3) == (0, 0, 3)
    sink.tick(0.5)
    assert account(sink, 3) == (3, 0, 0)
    assert [row["bytes"] for row in lines(path)] == [-1, 0, 1, 2]
    sink.write(flows(2, first=3, exporters=("192.0.2.7",)))
    sink.close()
    sink.close()

    assert account(sink, 5) == (5, 0, 0)
    rows = lines(path)[1:]
    assert [row["bytes"] for row in rows] == list(range(5))
    assert list(rows[0]) == FLOW_SCHEMA.names
    assert rows[0]["export_time"] == 1_790_000_000_000
    assert [row["switch_id"] for row in rows] == ["192.0.2.1"] * 3 + ["192.0.2.7"] * 2


def test_many_rows_do_not_wait(tmp_path, flows, account):
    path = tmp_path / "flows.json"
    sink = open_sink(f"ndjson:{path}", SinkSettings())
    sink.write(flows(40_000))

    assert account(sink, 40_000) == (40_000, 0, 0)
    assert [row["bytes"] for row in lines(path)] == list(range(40_000))
    sink.close()


def test_stdout(flows, account, capfd):
    sink = open_sink("ndjson:-", SinkSettings())
    sink.write(flows(2))
    sink.close()

    assert sink.name == "ndjson:-"
    assert account(sink, 2) == (2, 0, 0)
    assert [json.loads(line)["bytes"] for line in capfd.readouterr().out.splitlines()] == [0, 1]


@pytest.mark.parametrize("cut", [0, 1000])
def test_a_full_disk_leaves_whole_lines(cut, tmp_path, flows, account, monkeypatch, caplog):
    path = tmp_path / "flows.json"
    sink = open_sink(f"ndjson:{path}", SinkSettings())
    sink.write(flows(2))
    sink.tick(0.5)
    real = os.write
    room = [cut]

    def full(descriptor, octets):
        if not room[0]:
            raise OSError(28, "No space left on device")
        taken = real(descriptor, octets[: room[0]])
        room[0] -= taken
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for first in (10, 20, 30):
            sink.write(flows(10, first=first))
            sink.tick(1.0)
    assert account(sink, 32) == (2, 30, 0)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "No space left on device; lost until there is space" in errors[0].getMessage()

    caplog.set_level(logging.INFO)
    sink.write(flows(1, first=99))
    sink.close()
    assert account(sink, 33) == (3, 30, 0)
    assert [row["bytes"] for row in lines(path)] == [0, 1, 99]
    assert "again, rows lost=30" in caplog.text


def test_a_reader_that_goes_away(tmp_path, flows, account, caplog):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = []
    thread = threading.Thread(target=lambda: reader.append(os.open(path, os.O_RDONLY)))
    thread.start()
    sink = open_sink(f"ndjson:{path}", SinkSettings())
    thread.join()
    sink.write(flows(2))
    sink.tick(0.5)
    assert account(sink, 2) == (2, 0, 0)
    os.close(reader[0])
    for _ in range(2):
        sink.write(flows(5))
        sink.tick(1.0)
    sink.close()

    assert account(sink, 12) == (2, 10, 0)
    assert caplog.text.count("its reader has gone") == 1
