"""The real captures of ../shared/captures, read plainly: pcap payloads and expected values."""

import functools
import ipaddress
import json
import os
import struct
from pathlib import Path
from typing import NamedTuple

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "captures"
CASES = sorted(path.stem for path in FOLDER.glob("expected/*.json"))
ABSENT = "no captures in ../shared/captures"


class Packet(NamedTuple):
    """One UDP datagram; `address` is the exporter's, IPv4 mapped into 16 octets."""

    payload: bytes
    address: bytes
    port: int


def require() -> None:
    """Skip the test where the captures are absent; fail it on CI, which has to have them."""
    if not CASES:
        if os.environ.get("CI") == "true":
            pytest.fail(ABSENT)
        pytest.skip(ABSENT)


@functools.cache
def expected(case: str) -> dict:
    return json.loads((FOLDER / "expected" / f"{case}.json").read_text())


@functools.cache
def packets(case: str) -> tuple[Packet, ...]:
    """Return the datagrams of a classic pcap file (Ethernet, IPv4 without options, UDP)."""
    data = (FOLDER / f"{case}.pcap").read_bytes()
    assert data[:4] == b"\xd4\xc3\xb2\xa1"
    at, found = 24, []
    while at < len(data):
        (captured,) = struct.unpack_from("<I", data, at + 8)
        frame = data[at + 16 : at + 16 + captured]
        at += 16 + captured
        assert frame[12:15] == b"\x08\x00\x45"
        port, _, length = struct.unpack_from("!HHH", frame, 34)
        source = bytes(10) + b"\xff\xff" + frame[26:30]
        found.append(Packet(frame[42 : 34 + length], source, port))
    return tuple(found)


def wire_octets(value: object, length: int) -> bytes | None:
    """Turn an expected value back into its octets; None for text, whose padding is not kept."""
    if value is None:
        return b""
    if isinstance(value, bool):
        return bytes([1 if value else 2]).rjust(length, b"\0")
    if isinstance(value, int):
        return value.to_bytes(length, "big", signed=value < 0)
    if isinstance(value, float):
        return struct.pack("!f" if length == 4 else "!d", value)
    text = str(value)
    if text.startswith("0x"):
        return bytes.fromhex(text[2:])
    if length in (4, 16):
        try:
            packed = ipaddress.ip_address(text).packed
        except ValueError:
            return None
        return packed if len(packed) == length else None
    parts = text.split(":")
    return bytes.fromhex("".join(parts)) if len(parts) == length == 6 else None
