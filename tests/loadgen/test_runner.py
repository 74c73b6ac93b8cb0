import io
import json
import os
import signal
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from clarion.errors import NetError
from clarion.loadgen import runner
from clarion.loadgen.config import Config, Protocol, Refresh
from clarion.loadgen.progress import reporter
from clarion.loadgen.signals import stop_on_signal
from clarion.loadgen.truth import Truth
from clarion.net.send import Sender
from tests.loadgen.played import Sent, header, rows

pytestmark = pytest.mark.net


@contextmanager
def listening(host="127.0.0.1"):
    """Gather what arrives; gives the port and the list of (octets, address)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind((host, 0))
        sock.settimeout(0.3)
        got: list = []
        ended = threading.Event()

        def gather():
            while True:
                try:
                    octets, address = sock.recvfrom(65536)
                    got.append((octets, address[0]))
                except TimeoutError:
                    if ended.is_set():
                        return

        thread = threading.Thread(target=gather)
        thread.start()
        try:
            yield sock.getsockname()[1], got
        finally:
            ended.set()
            thread.join()


def config(port, **settings):
    return Config(port=port, **({"fps": 3000.0, "duration_s": 0.5} | settings))


@pytest.mark.parametrize("gso", [False, True])
@pytest.mark.parametrize("protocol", list(Protocol))
def test_what_arrives_is_what_the_truth_says(protocol, gso):
    with listening() as (port, got):
        share = 0.0 if protocol == "v5" else 0.3
        result = runner.run(
            config(port, fps=20_123.0, protocol=protocol, gso=gso, ipv6_share=share, exporters=7,
                   refresh=Refresh(0.1, 0))
        )  # fmt: skip
    totals, script = result.totals, result.script
    assert totals.records == 10_061  # floor(20,123 x 0.5)
    assert len(got) == totals.data_datagrams + totals.template_datagrams
    assert sum(len(octets) for octets, _ in got) == totals.octets
    number = {address: k for k, address in enumerate(script.exporters.address)}
    sent = [Sent(number[address], octets, _records(script, octets), 0.0) for octets, address in got]
    truth = Truth(script, totals.data_datagrams)
    expected = [row for table in truth.tables() for row in table.to_pylist()]
    order = sorted
    assert order(map(_key, rows(script, sent))) == order(map(_key, expected))


def _key(row):
    return sorted((name, str(value)) for name, value in row.items())


def _records(script, octets):
    head = header(octets)
    offset = {5: 0, 9: 20, 10: 16}[head.version]
    if offset and int.from_bytes(octets[offset : offset + 2], "big") < 256:
        return 0
    if head.version != 10:
        return head.count
    set_id = int.from_bytes(octets[16:18], "big")
    return (len(octets) - 20) // script.stocks[set_id % 2].kind.record_octets


def test_the_rate_is_kept():
    with listening() as (port, _):
        result = runner.run(config(port, fps=3000.0, duration_s=2.0))
    summary = result.summary()

    assert summary["records_sent"] == 6000
    assert summary["sent_fps"] == pytest.approx(3000, rel=0.005)
    assert summary["seconds"] >= 2.0
    assert set(summary) >= {"event", "datagrams_sent", "intended_fps", "lag_ms", "cpu_seconds"}


def test_a_slow_run_lasts_its_time():
    with listening() as (port, got):
        result = runner.run(config(port, fps=2.0, duration_s=1.2))

    assert result.totals.records == 2
    assert result.totals.elapsed_s >= 1.2
    assert len(got) == 1 + result.totals.template_datagrams


def test_ipv6_loopback():
    with listening("::1") as (port, got):
        result = runner.run(config(port, host="::1", exporters=3, fps=1000.0))

    assert {address for _, address in got} == {"::1"}
    assert {header(octets).domain for octets, _ in got} == {1, 2, 3}
    assert result.script.exporters.address == ("::1",) * 3


def test_stopping_accounts_for_what_was_sent():
    begin = time.monotonic()
    with listening() as (port, got):
        result = runner.run(
            config(port, fps=50_000.0, duration_s=None),
            stop=lambda: time.monotonic() > begin + 0.6,
        )
    totals = result.totals

    assert totals.stopped
    assert not totals.unsent
    assert sum(_records(result.script, octets) for octets, _ in got) == totals.records
    assert Truth(result.script, totals.data_datagrams).records == totals.records


def test_a_sender_that_cannot_keep_up_says_so(monkeypatch):
    def slow(self, first, last):
        time.sleep(0.05)
        return send(self, first, min(last, first + 1))

    send = Sender.send
    monkeypatch.setattr(Sender, "send", slow)
    monkeypatch.setattr(runner, "_GRACE_S", 0.1)
    with listening() as (port, _):
        totals = runner.run(config(port, fps=10_000.0, duration_s=0.4, exporters=1)).totals

    assert totals.unsent > 2000
    assert totals.records + totals.unsent == 4000
    assert not totals.stopped
    assert totals.lag.max_s > 0.2


def test_a_failure_keeps_the_account(monkeypatch):
    calls = 0

    def failing(self, first, last):
        nonlocal calls
        calls += 1
        if calls > 20:
            raise NetError("cannot send: no route")
        return send(self, first, last)

    send = Sender.send
    monkeypatch.setattr(Sender, "send", failing)
    with listening() as (port, got):
        result = runner.run(config(port, fps=10_000.0))

    assert result.totals.failure == "cannot send: no route"
    assert sum(_records(result.script, octets) for octets, _ in got) == result.totals.records
    assert 0 < result.totals.records < 5000


def test_a_processor_that_is_not_there():
    with pytest.raises(NetError, match="cannot stay on processor 9999"):
        runner.run(config(9, cpu=9999))


@pytest.mark.parametrize("json_lines", [False, True])
def test_progress_is_one_line_a_second(json_lines):
    err = io.StringIO()
    with listening() as (port, _):
        settings = config(port, duration_s=2.6)
        with reporter(settings, json_lines=json_lines, err=err) as report:
            runner.run(settings, report=report)
    lines = err.getvalue().splitlines()

    assert len(lines) == 2
    if json_lines:
        first, second = map(json.loads, lines)
        assert first["event"] == "progress"
        assert 5900 < second["records_sent"] < 6900
    else:
        assert "asked 3000/s" in lines[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_and_the_handler_is_put_back(number):
    before = signal.getsignal(number)
    with listening() as (port, _), stop_on_signal() as stop:
        timer = threading.Timer(0.4, os.kill, (os.getpid(), number))
        timer.start()
        result = runner.run(config(port, duration_s=None), stop=stop)
        timer.join()

    assert result.totals.stopped
    assert signal.getsignal(number) == before
