"""A capture of made-up traffic for softflowd: TCP, UDP and ICMP flows over IPv4 and IPv6."""

import random
import socket
import struct
from pathlib import Path


def write_traffic(path: Path, *, flows: int = 150, seed: int = 7) -> None:
    """Write an Ethernet pcap of `flows` flows of 1 to 12 packets each, every fifth IPv6."""
    rng = random.Random(seed)
    frames: list[tuple[float, bytes]] = []
    for number in range(flows):
        at = 1_700_000_000 + rng.random() * 20
        six = number % 5 == 4
        protocol = rng.choice([6, 6, 17, 58 if six else 1])
        sport, dport = rng.randrange(1024, 65536), rng.choice([53, 80, 443, 8080])
        for _ in range(rng.randrange(1, 13)):
            payload = _transport(protocol, sport, dport, bytes(rng.randrange(0, 900)))
            frames.append((at, _frame(number, six, protocol, payload)))
            at += rng.random() * 0.5
    frames.sort()
    with path.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for at, frame in frames:
            head = struct.pack("<IIII", int(at), int(at % 1 * 1e6), len(frame), len(frame))
            out.write(head + frame)


def _transport(protocol: int, sport: int, dport: int, data: bytes) -> bytes:
    if protocol == 6:
        return struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 5 << 4, 0x18, 8192, 0, 0) + data
    if protocol == 17:
        return struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data
    return struct.pack("!BBHHH", 8, 0, 0, 1, 1) + data


def _frame(number: int, six: bool, protocol: int, payload: bytes) -> bytes:
    ethernet = bytes(range(12))
    if six:
        source = socket.inet_pton(socket.AF_INET6, f"2001:db8::{number:x}")
        target = socket.inet_pton(socket.AF_INET6, "2001:db8:1::1")
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + source + target
        return ethernet + b"\x86\xdd" + head + payload
    source = socket.inet_aton(f"10.0.{number >> 8}.{number & 255}")
    target = socket.inet_aton("10.9.0.1")
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), number, 0, 64, protocol, 0)
    total = sum(struct.unpack("!10H", head + source + target))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return (
        ethernet + b"\x08\x00" + head[:10] + struct.pack("!H", checksum) + source + target + payload
    )
