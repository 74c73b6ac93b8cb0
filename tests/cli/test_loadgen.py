import json
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.processes import clarion, nfcapd, nfdump_rows, nfdump_statistics

pytestmark = pytest.mark.net


@pytest.fixture
def target():
    """A bound port whose datagrams nobody reads."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{sock.getsockname()[1]}"


def test_json_is_one_summary_object(target):
    done = clarion(
        "loadgen", "--fps", "3000", "--duration", "1s", "--target", target, "--json", "--quiet"
    )
    summary = json.loads(done.stdout)

    assert done.returncode == 0
    assert done.stderr == ""
    assert summary["event"] == "summary"
    assert summary["records_sent"] == 3000
    assert summary["intended_fps"] == 3000
    assert summary["sent_fps"] == pytest.approx(3000, rel=0.005)
    assert set(summary["lag_ms"]) == {"p50", "p99", "max"}
    assert summary["datagrams_sent"] == 125 + summary["template_datagrams_sent"]


def test_rows_for_people(target):
    done = clarion("loadgen", "--fps", "10M/h", "--duration", "1200ms", "--target", target)

    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split() == ["records", "[sent,", "unsent]", "3,333,", "0"]
    assert len(done.stderr.splitlines()) == 1  # a line a second


def test_it_runs_until_interrupted(target):
    process = subprocess.Popen(
        [sys.executable, "-m", "clarion", "loadgen", "--target", target, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stderr.readline()  # it runs
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    summary = json.loads(out)

    assert process.returncode == 0
    assert summary["stopped"]
    assert summary["records_sent"] >= 3000
    assert summary["records_unsent"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fps", "many"], "rate 'many'"),
        (["--fps", "0"], "--fps 0: wanted more than 0"),
        (["--protocol", "v7"], "wanted v5, v9 or ipfix"),
        (["--target", "a:b:c"], "target 'a:b:c'"),
        (["--duration", "soon"], "duration 'soon'"),
        (["--truth", "/no/such/place"], "cannot write truth file"),
        (["--protocol", "v5", "--ipv6-share", "0.5"], "v5 carries neither"),
        (["--records-per-datagram", "5000"], "--records-per-datagram 5000: at most"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_2(arguments, said):
    done = clarion("loadgen", "--duration", "1s", *arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_host_is_exit_1():
    done = clarion("loadgen", "--duration", "1s", "--target", "no-such-host.invalid")

    assert done.returncode == 1
    assert "unknown host" in done.stderr


@pytest.mark.peer
@pytest.mark.parametrize("protocol", ["v5", "v9", "ipfix"])
@pytest.mark.parametrize(
    ("fps", "flags"),
    [
        (3000, []),
        pytest.param(100_000, [], marks=pytest.mark.slow),
        pytest.param(100_000, ["--gso"], marks=pytest.mark.slow),
        pytest.param(20_000, ["--exporters", "300"], marks=pytest.mark.slow),
    ],
)
def test_nfcapd_counts_what_was_sent(tmp_path, protocol, fps, flags):
    with nfcapd(tmp_path / "flows") as port:
        done = clarion(
            "loadgen", "--fps", str(fps), "--duration", "1s", "--protocol", protocol,
            "--target", f"127.0.0.1:{port}", "--json", "--quiet", *flags,
        )  # fmt: skip
    summary = json.loads(done.stdout)
    counted = nfdump_statistics(tmp_path / "flows")

    assert summary["records_sent"] == fps
    assert counted["flows"] == fps
    assert counted["sequence failures"] == 0


@pytest.mark.peer
@pytest.mark.parametrize("protocol", ["v9", "ipfix"])
def test_nfcapd_reads_both_address_families(tmp_path, protocol):
    with nfcapd(tmp_path / "flows") as port:
        clarion(
            "loadgen", "--fps", "2000", "--duration", "1s", "--protocol", protocol,
            "--target", f"127.0.0.1:{port}", "--ipv6-share", "0.5", "--layer2",
            "--template-refresh", "10", "--json", "--quiet",
        )  # fmt: skip
    counted = nfdump_statistics(tmp_path / "flows")
    rows = nfdump_rows(tmp_path / "flows")

    assert counted["flows"] == len(rows) == 2000
    assert counted["sequence failures"] == 0
    families = ["src6_addr" in row for row in rows]
    assert 800 < sum(families) < 1200
