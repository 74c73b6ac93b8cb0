"""What the exporters' own numbers say, and protocols on ports of their own."""

import socket
import struct
import time

import pytest

from tests.processes import collector

pytestmark = pytest.mark.net


def v5(sequence: int, records: int) -> bytes:
    head = struct.pack("!HHIIIIHH", 5, records, 90_000, 1_700_000_000, 0, sequence, 0, 0)
    return head + bytes(48 * records)


def send(port: int, *payloads: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for payload in payloads:
            sender.sendto(payload, ("127.0.0.1", port))
    time.sleep(0.2)


def test_a_gap_in_the_sequence_is_told_beside_the_ledger():
    with collector("--sink", "null:") as collecting:
        send(collecting.netflow_port, v5(0, 3), v5(3, 2), v5(12, 1))
        summary = collecting.stop()

    assert summary["sequence"]["lost_records"] == 7
    assert summary["records_received"] == summary["records_delivered"] == 6
    assert not any(summary["losses"].values())


def test_sflow_has_a_port_and_any_port_takes_any_protocol():
    # An agent 10.0.0.1 with no samples: a whole sFlow datagram.
    sflow = struct.pack("!II4sIIII", 5, 1, bytes([10, 0, 0, 1]), 0, 1, 1000, 0)
    with collector("--sink", "null:") as collecting:
        send(collecting.ready["sflow_port"], sflow, v5(0, 1))
        send(collecting.ipfix_port, sflow)
        summary = collecting.stop()

    assert len({collecting.ready[f"{name}_port"] for name in ("netflow", "ipfix", "sflow")}) == 3
    assert summary["datagrams_by_version"]["sflow"] == 2
    assert summary["datagrams_by_version"]["v5"] == 1
    assert summary["losses"]["malformed"] == 0
