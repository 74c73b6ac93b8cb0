"""What a run is: every setting of the load generator, validated at once."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from clarion import units
from clarion.errors import UsageError
from clarion.wire.constants import IPFIX, V5, V9


class Protocol(StrEnum):
    """What the exporters speak."""

    V5 = "v5"
    V9 = "v9"
    IPFIX = "ipfix"

    @property
    def version(self) -> int:
        """The version field of its datagrams."""
        return {"v5": V5, "v9": V9, "ipfix": IPFIX}[self.value]

    @property
    def default_port(self) -> int:
        """The port to send to when no target is given."""
        return 4739 if self is Protocol.IPFIX else 2055


# What an Ethernet frame leaves of 1,500 octets for a datagram: IPv4 and UDP headers take 28, and
# 8 more are left for a tunnel or VLAN tags.
ETHERNET_PAYLOAD: Final = 1464
# Exporters beyond this need 127.x.y.z addresses that leave no room for others.
MAX_EXPORTERS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Refresh:
    """
    When an exporter repeats its templates: whichever comes first; 0 is never.

    Every exporter sends its templates at the start in any case (RFC 7011 8.1; RFC 3954 9).
    """

    seconds: float = 20.0
    datagrams: int = 4096

    @classmethod
    def parse(cls, text: str) -> "Refresh":
        """Read `20s`, `4096` (datagrams), `20s,4096` or `off`."""
        seconds, datagrams = 0.0, 0
        if text != "off":
            for part in text.split(","):
                if part.strip().isdigit():
                    datagrams = int(part)
                else:
                    seconds = units.seconds(part)
        return cls(seconds, datagrams)

    def __str__(self) -> str:
        parts = [f"{self.seconds:g}s"] * (self.seconds > 0) + [str(self.datagrams)] * (
            self.datagrams > 0
        )
        return ",".join(parts) or "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """
    One run of the load generator.

    Attributes:
        fps: flow records per second, of all exporters together.
        duration_s: None: until stopped.
        protocol: what the exporters speak.
        host, port: the target.
        exporters: how many.
        seed: of traffic and exporters; the same seed gives the same records.
        records_per_datagram: None: 30 (v5), else what fits 1,464 octets, at most 24; and never
            more than a second's worth, so that a slow run sends at least once a second.
        ipv6_share: share of datagrams with IPv6 flows, 0 to 1 (v9, IPFIX).
        layer2: records carry MAC addresses and VLAN (v9, IPFIX).
        refresh: when templates are repeated.
        gso: hand the kernel many datagrams as one message (UDP_SEGMENT).
        cpu: processor to stay on, None for any.

    """

    fps: float = 3000.0
    duration_s: float | None = None
    protocol: Protocol = Protocol.V9
    host: str = "127.0.0.1"
    port: int = 2055
    exporters: int = 10
    seed: int = 1
    records_per_datagram: int | None = None
    ipv6_share: float = 0.0
    layer2: bool = False
    refresh: Refresh = Refresh()
    gso: bool = False
    cpu: int | None = None

    def __post_init__(self) -> None:
        """Report all problems in one UsageError."""
        problems = [
            text
            for wrong, text in (
                (not self.fps > 0, f"--fps {self.fps:g}: wanted more than 0"),
                (self.fps > 1e9, f"--fps {self.fps:g}: wanted at most 1G"),
                (
                    self.duration_s is not None and not self.duration_s > 0,
                    f"--duration {self.duration_s}: wanted more than 0",
                ),
                (not 0 < self.port < 65536, f"port {self.port}: wanted 1 to 65535"),
                (
                    not 1 <= self.exporters <= MAX_EXPORTERS,
                    f"--exporters {self.exporters}: wanted 1 to {MAX_EXPORTERS}",
                ),
                (self.seed < 0, f"--seed {self.seed}: wanted 0 or more"),
                (
                    not 0 <= self.ipv6_share <= 1,
                    f"--ipv6-share {self.ipv6_share:g}: wanted 0.0 to 1.0",
                ),
                (
                    self.protocol is Protocol.V5 and (self.ipv6_share > 0 or self.layer2),
                    "v5 carries neither IPv6 nor MAC addresses: take --protocol v9 or ipfix",
                ),
                (
                    self.records_per_datagram is not None and self.records_per_datagram < 1,
                    f"--records-per-datagram {self.records_per_datagram}: wanted 1 or more",
                ),
            )
            if wrong
        ]
        if problems:
            raise UsageError("; ".join(problems))


def parse_target(text: str | None, protocol: Protocol) -> tuple[str, int]:
    """
    Read HOST:PORT, HOST or [IPv6]:PORT; the port's default is the protocol's.

    Raises UsageError.
    """
    if not text:
        return "127.0.0.1", protocol.default_port
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?", text)
    if match is None:
        raise UsageError(f"target {text!r}: wanted HOST:PORT or [IPV6]:PORT, as in 127.0.0.1:2055")
    port = int(match[3]) if match[3] else protocol.default_port
    if not 0 < port < 65536:
        raise UsageError(f"target {text!r}: port {port}, wanted 1 to 65535")
    return match[1] or match[2], port
