"""
The promise, record by record: loadgen's truth -> UDP -> collect -> sink -> verify.

The default suite sends for two seconds; `slow` (CI runs it) for ten, at 100,000 flows a second.
"""

import json
from pathlib import Path

import pytest

from tests.processes import clarion, collector

pytestmark = pytest.mark.net

CASES = [
    pytest.param("v5", "127.0.0.1", "0", id="v5"),
    pytest.param("v9", "127.0.0.1", "0", id="v9"),
    pytest.param("v9", "127.0.0.1", "0.5", id="v9 of IPv4 and IPv6 flows"),
    pytest.param("ipfix", "127.0.0.1", "1", id="ipfix of IPv6 flows"),
    pytest.param("ipfix", "::1", "0.3", id="ipfix over IPv6"),
]


def sent_and_verified(
    place: Path, protocol: str, host: str, share: str, *, fps: int, seconds: int, sink: str
) -> None:
    truth, uri = place / "truth", f"{sink}:{place / 'flows'}"
    with collector("--sink", uri, host=host) as collecting:
        target = f"[{host}]" if ":" in host else host
        arguments = [] if protocol == "v5" else ["--ipv6-share", share]
        sending = clarion(
            "loadgen", "--json", "--fps", str(fps), "--duration", f"{seconds}s",
            "--protocol", protocol, "--target", f"{target}:{collecting.netflow_port}",
            "--exporters", "20", "--seed", "7", "--truth", str(truth), *arguments,
        )  # fmt: skip
        assert sending.returncode == 0, sending.stderr
        sent = json.loads(sending.stdout.splitlines()[-1])
        summary = collecting.stop()

    assert sent["records_sent"] == fps * seconds
    assert summary["records_received"] == summary["records_delivered"] == sent["records_sent"]
    assert summary["datagrams_received"] == sent["datagrams_sent"]
    assert summary["in_flight"] == 0
    assert not any(summary["losses"].values())
    verified = clarion("verify", "--json", "--truth", str(truth), uri)
    result = json.loads(verified.stdout)
    assert verified.returncode == 0
    assert result["sent"] == result["ok"] == sent["records_sent"]
    assert result["lost"] == result["duplicate"] == result["corrupt"] == 0


@pytest.mark.parametrize(("protocol", "host", "share"), CASES)
def test_every_record_arrives_as_it_was_sent(protocol, host, share, tmp_path):
    sent_and_verified(tmp_path, protocol, host, share, fps=20_000, seconds=2, sink="parquet")


def test_every_record_arrives_as_it_was_sent_in_ndjson(tmp_path):
    sent_and_verified(tmp_path, "v9", "127.0.0.1", "0.2", fps=10_000, seconds=2, sink="ndjson")


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "host", "share"), CASES)
def test_every_record_arrives_at_100000_a_second(protocol, host, share, tmp_path):
    sent_and_verified(tmp_path, protocol, host, share, fps=100_000, seconds=10, sink="parquet")


def test_verify_finds_what_is_missing(tmp_path):
    truth, uri = tmp_path / "truth", f"parquet:{tmp_path / 'flows'}"
    with collector("--sink", uri) as collecting:
        port = collecting.netflow_port
        clarion("loadgen", "--json", "--fps", "5000", "--duration", "1s", "--protocol", "v5",
                "--target", f"127.0.0.1:{port}", "--truth", str(truth), timeout=30)  # fmt: skip
        collecting.stop()
    (kept,) = (tmp_path / "flows").rglob("*.parquet")
    kept.unlink()

    verified = clarion("verify", "--json", "--truth", str(truth), uri)

    assert verified.returncode == 1
    assert json.loads(verified.stdout)["lost"] == 5000
