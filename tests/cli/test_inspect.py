import json
import os
import struct
import subprocess
import sys

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from clarion.cli.inspect import inspect
from clarion.errors import CaptureError, UsageError
from clarion.inspect import Inspector, TableView
from clarion.wire.batch import DatagramBatch

EXPORTED_S = 1_700_000_000
UPTIME_MS = 50_000


def set_of(set_id, body):
    return struct.pack("!HH", set_id, 4 + len(body)) + body


def v9(*sets, sequence=0, source_id=7):
    head = struct.pack("!HHIIII", 9, len(sets), UPTIME_MS, EXPORTED_S, sequence, source_id)
    return head + b"".join(sets)


def ipfix(*sets, sequence=0, domain=7):
    body = b"".join(sets)
    return struct.pack("!HHIII", 10, 16 + len(body), EXPORTED_S, sequence, domain) + body


def template(template_id, *fields):
    flat = [number for field in fields for number in field]
    return struct.pack(f"!{2 + len(flat)}H", template_id, len(fields), *flat)


FIELDS = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (1, 4), (2, 4), (22, 4), (21, 4))
TEMPLATE = set_of(0, template(256, *FIELDS))


def flow(octets=1500, start=UPTIME_MS - 9_000, end=UPTIME_MS - 1_000):
    addresses = bytes([10, 0, 0, 1, 10, 0, 0, 2])
    return addresses + struct.pack("!HHBBIIII", 443, 5000, 6, 0x12, octets, 3, start, end)


def flows(*records):
    return set_of(256, b"".join(records))


@pytest.fixture
def capture(tmp_path):
    """Write datagrams as a raw IP capture; the n-th pair is (payload, destination port)."""

    def write(*datagrams):
        octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
        for at, datagram in enumerate(datagrams):
            payload, port = datagram if isinstance(datagram, tuple) else (datagram, 2055)
            udp = struct.pack("!HHHH", 9995, port, 8 + len(payload), 0) + payload
            addresses = bytes([192, 0, 2, 9, 192, 0, 2, 250])
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses
            octets += struct.pack("<IIII", EXPORTED_S + at, 0, len(ip + udp), len(ip + udp))
            octets += ip + udp
        path = tmp_path / "flows.pcap"
        path.write_bytes(octets)
        return path

    return write


@pytest.fixture
def run():
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(inspect)

    def invoke(*arguments):
        return CliRunner().invoke(app, [str(a) for a in arguments])

    return invoke


def json_lines(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_is_one_entry_a_line(run, capture):
    entries = json_lines(run(capture(v9(TEMPLATE, flows(flow(), flow(octets=9)))), "--json"))

    assert [e["kind"] for e in entries] == ["template", "record", "record", "summary"]
    assert entries[0]["fields"][0] == ["8", "sourceIPv4Address", 4]
    assert entries[1]["fields"]["8"] == "10.0.0.1"
    assert entries[1]["derived"] == {
        "src_addr": "10.0.0.1",
        "dst_addr": "10.0.0.2",
        "src_port": 443,
        "dst_port": 5000,
        "protocol": 6,
        "bytes": 1500,
        "packets": 3,
        "start_ms": EXPORTED_S * 1000 - 9_000,
        "end_ms": EXPORTED_S * 1000 - 1_000,
    }
    assert (entries[2]["exporter"], entries[2]["domain"]) == ("192.0.2.9", 7)
    assert (entries[2]["set"], entries[2]["index"], entries[2]["flowset_id"]) == (1, 1, 256)
    assert entries[3]["record_count"] == 2
    assert entries[3]["frames"]["datagrams"] == 1


def test_sysuptime_wraps_at_32_bits(run, capture):
    entries = json_lines(run(capture(v9(TEMPLATE, flows(flow(start=2**32 - 1)))), "--json"))

    assert entries[1]["derived"]["start_ms"] == EXPORTED_S * 1000 - UPTIME_MS - 1


def test_a_record_that_waited_is_marked_late(run, capture):
    path = capture(v9(flows(flow()), sequence=1), v9(TEMPLATE, flows(flow(octets=2)), sequence=2))
    template_entry, in_time, late, summary = json_lines(run(path, "--json"))

    assert template_entry["packet"] == in_time["packet"] == 1
    assert "late" not in in_time
    assert late["late"] is True
    assert late["packet"] == 0
    assert late["derived"]["end_ms"] == EXPORTED_S * 1000 - 1_000
    assert (summary["record_count"], summary["late_records"]) == (1, 1)
    assert summary["undecodable_sets"][0]["flowset_id"] == 256


def test_ipfix_uptimes_need_the_boot_time_of_their_domain(run, capture):
    uptimes = set_of(2, template(300, (22, 4), (21, 4)))
    options = set_of(3, struct.pack("!HHHHHHH", 301, 2, 1, 143, 4, 160, 8))
    boot = set_of(301, struct.pack("!IQ", 1, 1_600_000_000_000))
    data = set_of(300, struct.pack("!II", 1000, 2000))
    path = capture(ipfix(uptimes, options, data), ipfix(boot, data, sequence=1))
    records = [e for e in json_lines(run(path, "--json")) if e["kind"] == "record"]

    assert [r["derived"]["start_ms"] for r in records] == [None, 1_600_000_001_000]
    assert records[1]["derived"]["end_ms"] == 1_600_000_002_000


def test_values_and_their_octets(run, capture):
    sizes = ((82, 4), (0, 2), (276, 1), (276, 1), (320, 8), (154, 8), (8, 2), (82, 0), (434, 2))
    # Then an enterprise's element: 9.1232, two octets.
    fields = struct.pack("!HH", 256, 10) + template(0, *sizes)[4:]
    fields += struct.pack("!HHI", 0x8000 | 1232, 2, 9)
    ntp = struct.pack("!II", 2_208_988_800 + 5, 1 << 31)
    record = b"eth0" + b"\xca\xfe" + b"\1\2" + struct.pack("!d", float("nan")) + ntp
    record += b"\x0a\x00" + b"\xff\xfe" + b"\x00\x11"
    entries = json_lines(run(capture(ipfix(set_of(2, fields), set_of(256, record))), "--json"))

    assert entries[1]["fields"] == {
        "82": "eth0",
        "0": "0xcafe",
        "276": True,
        "276#2": False,
        "320": "0x7ff8000000000000",
        "154": 5_500_000,
        "8": "0x0a00",
        "82#2": None,
        "434": -2,
        "9.1232": 17,
    }
    raw = {"0": "cafe", "154": ntp.hex(), "82#2": "", "9.1232": "0011"}
    assert entries[1]["raw"] == raw
    assert entries[0]["fields"][-1] == ["9.1232", "sourceSecurityGroupTag", 2]


def test_withdrawn_and_repeated_templates(run, capture):
    defined = set_of(2, template(256, (8, 4)))
    withdrawn = set_of(2, template(256))
    spoilt = set_of(2, struct.pack("!HHHH", 257, 9, 8, 4))
    entries = json_lines(
        run(capture(ipfix(defined, defined, withdrawn, defined, spoilt)), "--json")
    )

    templates = [(e.get("repeats"), e.get("withdrawn")) for e in entries[:-1]]
    assert templates == [(None, None), (True, None), (None, True), (None, None)]
    assert entries[-1]["template_count"] == 3
    assert "bad template" in entries[-1]["problems"][0]["problem"]


def test_port_chooses_datagrams(run, capture):
    path = capture((v9(TEMPLATE), 9995), (v9(TEMPLATE), 2055), (b"\0\1dns?", 53))

    assert json_lines(run(path, "--json"))[-1]["packet_count"] == 3
    summary = json_lines(run(path, "--json", "--port", 2055, "--port", 53))[-1]
    assert (summary["packet_count"], summary["frames"]["other_port"]) == (2, 1)
    assert run(path, "--port", "70000").exit_code == 2


def test_table_view(run, capture):
    path = capture(v9(TEMPLATE, flows(*[flow()] * 5)), v9(flows(flow()), source_id=8))
    result = run(path, "--limit", 2)

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "192.0.2.9  NetFlow v9  domain 7  template 256: 5 records"
    assert lines[1].split()[:3] == ["packet", "sourceIPv4Address", "destinationIPv4Address"]
    row = lines[2].split()
    assert row[:3] == ["0", "10.0.0.1", "10.0.0.2"]
    assert "...A..S." in row
    assert row[-2:] == ["2023-11-14T22:13:11.000Z", "2023-11-14T22:13:19.000Z"]
    assert "  and 3 more (--limit)" in lines
    assert "records    [flow, options, late]  5, 0, 0" in lines
    assert "no template: packet 1: set 256 of 192.0.2.9" in lines
    assert "\x1b" not in result.stdout


def test_a_narrow_terminal_turns_the_table(capsys):
    inspector = Inspector()
    console = Console(width=60, force_terminal=True, color_system=None)
    view = TableView(console, limit=10)
    for entry in inspector.entries(DatagramBatch.of([v9(TEMPLATE, flows(flow(), flow(octets=7)))])):
        view.add(entry)
    from clarion.net.frames import FrameStats

    view.render(inspector.summary(FrameStats()))

    lines = capsys.readouterr().out.splitlines()
    table = [line for line in lines if line.startswith("  ")]
    assert ["sourceIPv4Address", "10.0.0.1"] in [line.split()[:2] for line in table]
    assert max(map(len, table)) <= 60


def test_control_characters_do_not_reach_the_screen(run, capture):
    name = set_of(0, template(256, (82, 8)))
    path = capture(v9(name, set_of(256, b"\x1b[2Jeth\n")))

    shown = run(path).stdout
    assert "\\x1b[2Jeth\\x0a" in shown
    assert "\x1b" not in shown
    assert "\x1b" not in run(path, "--json").stdout


def test_what_breaks_off_is_told_on_stderr(run, capture):
    path = capture(v9(TEMPLATE), v9(flows(flow())))
    path.write_bytes(path.read_bytes()[:-5])
    result = run(path, "--json")

    assert json_lines(result)[-1]["note"].startswith("ends inside a packet")
    assert "ends inside a packet" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_what_cannot_be_read_raises(run, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no capture")

    assert isinstance(run(text).exception, CaptureError)
    assert isinstance(run(tmp_path / "none.pcap").exception, UsageError)


def test_exit_codes(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no capture")
    for path, code in ((text, 1), (tmp_path / "none.pcap", 2)):
        done = subprocess.run(
            [sys.executable, "-m", "clarion", "inspect", path],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == code
        assert done.stdout == ""
        assert done.stderr.startswith("clarion: capture ")
        assert done.stderr.count("\n") == 1


def test_any_payload_is_inspected(run, capture):
    path = capture(b"", b"\0", b"\0\x09", b"\0\x0a\0\x05", bytes(2000), v9(TEMPLATE)[:-3])
    summary = json_lines(run(path, "--json"))[-1]

    assert summary["packet_count"] == 6
    assert summary["problem_count"] >= 5
    assert run(path).exit_code == 0
