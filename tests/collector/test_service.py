"""The collector as a process, on loopback."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from .fakes import OPTIONS_TEMPLATE, TEMPLATE, data, options, v5_datagram, v9_datagram, words

pytestmark = pytest.mark.net


class Collector:
    """A `clarion collect` child; its stderr is read line by line."""

    def __init__(self, *flags, environment=None, cwd=None):
        given = {k: v for k, v in os.environ.items() if not k.startswith("CLARION_")}
        root = str(Path(__file__).resolve().parents[2])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "clarion", "collect", "--bind-host", "127.0.0.1",
             "--netflow-port", "0", "--ipfix-port", "0", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
            env={**given, "PYTHONPATH": root, **(environment or {})},
        )  # fmt: skip
        self.lines = queue.Queue()
        self.seen = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ready = None

    def _read(self):
        for line in self.process.stderr:
            self.seen.append(line)
            self.lines.put(line)

    def __enter__(self):
        while self.ready is None:
            line = self.lines.get(timeout=30)
            if line.startswith("{") and json.loads(line)["event"] == "ready":
                self.ready = json.loads(line)
        return self

    def __exit__(self, *_):
        self.sock.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()

    def send(self, *datagrams, port="netflow_port"):
        for datagram in datagrams:
            self.sock.sendto(datagram, ("127.0.0.1", self.ready[port]))

    def finish(self, kind=signal.SIGTERM):
        """Stop it; the summary and the exit code."""
        self.process.send_signal(kind)
        return self.result()

    def result(self):
        out = self.process.stdout.read()
        code = self.process.wait(30)
        self.reader.join(5)
        return out, code

    def summary(self, kind=signal.SIGTERM):
        out, code = self.finish(kind)
        return json.loads(out.splitlines()[-1]), code


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_drains_on_the_signal_and_the_ledger_closes(kind):
    with Collector("--sink", "null:", "--json") as collector:
        collector.send(*[v5_datagram(30)] * 50)
        collector.send(
            v9_datagram(TEMPLATE, OPTIONS_TEMPLATE, data(1, 2), options(7)), port="ipfix_port"
        )
        collector.send(b"junk", v9_datagram((999, bytes(8)), source=5))
        summary, code = collector.summary(kind)

    assert code == 0
    assert summary["datagrams_received"] == 53
    assert summary["records_received"] == summary["records_delivered"] == 1502
    assert (summary["in_flight"], summary["unaccounted"]) == (0, 0)
    assert {name: n for name, n in summary["losses"].items() if n} == {
        "malformed": 1,
        "no_template": 1,
    }
    assert (summary["options_records"], summary["templates"]) == (1, 2)
    assert summary["top_exporters"][0]["exporter"] == "127.0.0.1"
    assert summary["sinks"][0]["delivered"] == 1502


def test_ready_line_has_real_ports():
    with Collector("--sink", "null:", "--json", "--udp-rcvbuf", "128KiB") as collector:
        ready = collector.ready
        assert ready["netflow_port"] > 0
        assert ready["ipfix_port"] not in (0, ready["netflow_port"])
        assert ready["rcvbuf"] == {"requested": 131072, "granted": 131072, "capped": False}
        assert ready["sinks"] == ["null:"]
        assert ready["pid"] == collector.process.pid
        collector.summary()


def test_first_flows_are_read_even_if_the_signal_comes_at_once():
    with Collector("--sink", "null:", "--json") as collector:
        os.kill(collector.process.pid, signal.SIGSTOP)
        collector.send(*[v5_datagram(30)] * 2000)
        os.kill(collector.process.pid, signal.SIGTERM)
        os.kill(collector.process.pid, signal.SIGCONT)
        out, code = collector.result()

    summary = json.loads(out)
    assert code == 0
    received = summary["records_received"]
    assert received == summary["records_delivered"] > 0
    assert received // 30 + summary["losses"]["kernel_dropped"] == 2000


def test_stops_by_itself():
    with Collector("--sink", "null:", "--json", "--duration", "300ms") as collector:
        out, code = collector.result()

    assert code == 0
    assert 0.3 <= json.loads(out)["seconds"] < 10


def test_ndjson_and_null_both_get_every_row(tmp_path):
    file = tmp_path / "flows.ndjson"
    with Collector("--sink", f"ndjson:{file}", "--sink", "null:", "--json") as collector:
        collector.send(v5_datagram(3), v5_datagram(4))
        summary, code = collector.summary()

    assert code == 0
    assert summary["records_delivered"] == 7
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["bytes"] for row in rows] == [1, 2, 3, 1, 2, 3, 4]
    assert {row["switch_id"] for row in rows} == {"127.0.0.1"}


def test_idle_costs_next_to_nothing():
    with Collector("--sink", "null:", "--json", "--progress-interval", "0") as collector:
        time.sleep(0.3)
        before = _cpu_s(collector.process.pid)
        time.sleep(2)
        spent = _cpu_s(collector.process.pid) - before
        collector.summary()

    assert spent <= 0.04


def test_progress_lines_while_it_runs():
    with Collector("--sink", "null:", "--json", "--progress-interval", "50ms") as collector:
        collector.send(v5_datagram(5))
        time.sleep(0.7)
        collector.summary()
        progress = [json.loads(line) for line in collector.seen if '"progress"' in line]

    assert len(progress) >= 5
    last = progress[-1]
    assert last["records_received"] == 5
    for one in progress:
        assert one["records_received"] >= one["records_delivered"] >= 0
        assert one["in_flight"] >= 0


def test_second_signal_ends_a_sink_that_hangs():
    with socket.create_server(("127.0.0.1", 0)) as backend:
        url = f"http://127.0.0.1:{backend.getsockname()[1]}"
        with Collector("--backend-url", url, "--json", "--batch-interval", "50ms") as collector:
            collector.send(v5_datagram(5))
            time.sleep(0.8)
            collector.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            began = time.monotonic()
            summary, code = collector.summary()
            took = time.monotonic() - began

    assert took < 4
    assert code == 1
    assert summary["records_received"] == 5
    assert summary["records_delivered"] == 0
    assert summary["in_flight"] + summary["losses"]["sink_failed"] == 5


def test_human_summary_labels_itself():
    with Collector("--sink", "null:") as collector:
        collector.send(v5_datagram(5), b"x")
        out, code = collector.finish()

    assert code == 0
    assert "records     [received, delivered, in_flight, lost]  5, 5, 0, 0" in out
    assert "lost        malformed: 1 datagrams (no usable NetFlow, IPFIX or sFlow header)" in out
    assert "127.0.0.1" in out


def test_environment_and_default_sink(tmp_path):
    environment = {"CLARION_COLLECTOR_UDP_RCVBUF": "65536"}
    with Collector("--json", environment=environment, cwd=tmp_path) as collector:
        assert collector.ready["sinks"] == ["parquet:flows"]
        assert collector.ready["rcvbuf"]["requested"] == 65536
        collector.send(v5_datagram(5))
        summary, code = collector.summary()

    assert (code, summary["records_delivered"]) == (0, 5)
    assert list((tmp_path / "flows").rglob("*.parquet"))


def failing(*flags):
    collector = Collector(*flags)
    out, code = collector.result()
    collector.__exit__()
    return out, "".join(collector.seen), code


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (["--sink", "carrier-pigeon:"], 2, "unknown sink 'carrier-pigeon:'"),
        (["--sink", "parquet:/proc/none"], 1, "/proc/none"),
        (["--workers", "4"], 2, "--workers: '4' is not in this version"),
        (["--bind-host", "192.0.2.1"], 1, "cannot bind udp://192.0.2.1:0"),
        (["--cpu-affinity", "4096"], 2, "--cpu-affinity: no CPU 4096 here"),
        (["--batch-size", "x", "--batch-interval", "y"], 2, "--batch-interval"),
    ],
)
def test_wrong_settings_are_one_line(flags, code, says):
    out, err, found = failing("--json", *flags)

    assert (out, found) == ("", code)
    assert says in err
    assert err.startswith("clarion: ")
    assert err.count("\n") == 1


def test_busy_port_is_one_line():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        _, err, code = failing("--netflow-port", str(port), "--sink", "null:")

    assert code == 1
    assert err == (
        f"clarion: cannot bind udp://127.0.0.1:{port}: address in use; "
        "another collector? try ss -ulpn\n"
    )


def test_one_socket_where_both_ports_are_the_same():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    flags = ["--netflow-port", port, "--ipfix-port", port, "--sink", "null:", "--json"]
    with Collector(*flags) as collector:
        assert collector.ready["netflow_port"] == collector.ready["ipfix_port"] == int(port)
        collector.send(*[v5_datagram(1)] * 20)
        summary, _ = collector.summary()

    assert summary["records_delivered"] == 20


def test_hostile_datagrams_cost_counters_only():
    bomb = v9_datagram((0, words(256, 1, 4, 1)), (256, bytes(60_000)))
    with Collector("--sink", "null:", "--json") as collector:
        for seed in range(200):
            collector.send(bytes((seed * i) % 256 for i in range(seed * 7)))
        collector.send(*[bomb] * 20)
        summary, code = collector.summary()

    assert code == 0
    assert summary["records_received"] == summary["records_delivered"] == 20 * 60_000
    assert summary["unaccounted"] == 0
    assert summary["losses"]["decode_failed"] == summary["losses"]["normalize_failed"] == 0


def _cpu_s(pid):
    stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
