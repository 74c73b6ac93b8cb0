"""
Datagrams of real exporters into `clarion collect` and into nfcapd: both must say the same.

softflowd and nfreplay send to a socket of the test, which hands the very same datagrams to both
collectors.
"""

import json
import socket
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from tests.peers.traffic import write_traffic
from tests.processes import (
    collector,
    free_port,
    need,
    nfcapd,
    nfdump_rows,
    nfdump_statistics,
)

pytestmark = [pytest.mark.peer, pytest.mark.net]


def record(command: list[str], port: int) -> list[bytes]:
    """Return the datagrams a program sends to a port of loopback."""
    found: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        listener.bind(("127.0.0.1", port))
        listener.settimeout(0.5)
        ended = threading.Event()

        def listen() -> None:
            while True:
                try:
                    found.append(listener.recv(65535))
                except TimeoutError:
                    if ended.is_set():
                        return

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=60)
        finally:
            ended.set()
            thread.join()
    assert found, f"{command[0]} sent nothing"
    return found


def send(datagrams: list[bytes], port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number, datagram in enumerate(datagrams):
            sender.sendto(datagram, ("127.0.0.1", port))
            if number % 20 == 19:
                time.sleep(0.002)


def softflowd(capture: Path, version: int) -> list[bytes]:
    need("softflowd")
    port = free_port()
    return record(
        ["softflowd", "-d", "-r", str(capture), "-n", f"127.0.0.1:{port}", "-v", str(version)], port
    )


def into_both(datagrams: list[bytes], place: Path) -> tuple[Path, list[dict[str, Any]], Path]:
    """Feed nfcapd and clarion; return nfcapd's directory, our NDJSON rows, our Parquet place."""
    theirs, parquet, ndjson = place / "nfcapd", place / "parquet", place / "flows.ndjson"
    with nfcapd(theirs) as port:
        send(datagrams, port)
    with collector("--sink", f"parquet:{parquet}", "--sink", f"ndjson:{ndjson}") as collecting:
        send(datagrams, collecting.netflow_port)
        time.sleep(0.3)
        summary = collecting.stop()
    assert collecting.process.returncode == 0
    assert summary["datagrams_received"] == len(datagrams)
    assert summary["records_received"] == summary["records_delivered"]
    assert summary["in_flight"] == 0
    assert not any(summary["losses"].values())
    return theirs, [json.loads(line) for line in ndjson.read_text().splitlines()], parquet


def compare(datagrams: list[bytes], place: Path) -> None:
    theirs, rows, parquet = into_both(datagrams, place)
    said = nfdump_statistics(theirs)
    # softflowd counts the records of the message itself into its IPFIX sequence number.
    assert said["sequence failures"] == 0 or datagrams[0][1] == 10
    table = ds.dataset(parquet, format="parquet", partitioning="hive").to_table().to_pylist()
    for ours in (rows, table):
        assert len(ours) == said["flows"] > 0
        assert sum(row["bytes"] for row in ours) == said["bytes"]
        assert sum(row["packets"] for row in ours) == said["packets"]
    assert Counter(map(our_key, rows)) == Counter(map(their_key, nfdump_rows(theirs)))


def our_key(row: dict[str, Any]) -> tuple[Any, ...]:
    ports = row["protocol"] not in (1, 58)  # nfdump shows ICMP type and code in place of ports
    return (
        row["src_ip"], row["dst_ip"], row["src_port"] if ports else 0,
        row["dst_port"] if ports else 0, row["protocol"], row["bytes"], row["packets"],
    )  # fmt: skip


def their_key(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        row.get("src4_addr") or row.get("src6_addr"), row.get("dst4_addr") or row.get("dst6_addr"),
        row.get("src_port", 0) if row["proto"] not in (1, 58) else 0,
        row.get("dst_port", 0) if row["proto"] not in (1, 58) else 0,
        row["proto"], row["in_bytes"], row["in_packets"],
    )  # fmt: skip


@pytest.mark.parametrize("version", [5, 9, 10])
def test_softflowd_is_collected_as_nfcapd_collects_it(version: int, tmp_path: Path) -> None:
    write_traffic(tmp_path / "traffic.pcap")

    datagrams = softflowd(tmp_path / "traffic.pcap", version)

    assert {int.from_bytes(datagram[:2], "big") for datagram in datagrams} == {version}
    compare(datagrams, tmp_path)


@pytest.mark.parametrize("version", [5, 9])
def test_nfreplay_is_collected_as_nfcapd_collects_it(version: int, tmp_path: Path) -> None:
    need("nfreplay")
    write_traffic(tmp_path / "traffic.pcap")
    with nfcapd(tmp_path / "first") as port:
        send(softflowd(tmp_path / "traffic.pcap", 9), port)
    (kept,) = (tmp_path / "first").glob("nfcapd.2*")
    port = free_port()

    datagrams = record(
        ["nfreplay", "-H", "127.0.0.1", "-p", str(port), "-v", str(version), "-r", str(kept)], port
    )

    compare(datagrams, tmp_path)
