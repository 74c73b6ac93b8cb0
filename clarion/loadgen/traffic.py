"""
The pool of flow records that all exporters draw on: plausible traffic, by seed, as columns.

Conversations between Zipf-distributed clients and servers; of each, both directions become a
record (2k and 2k + 1), with ports swapped. Packets are heavy-tailed (Pareto), bytes lie between
packets x smallest and packets x largest packet, flags, durations and end reasons go together.
Times are *ages*: milliseconds between the flow's start or end and its export.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]
Random = np.random.Generator

POOL_RECORDS: Final = 65_536

# Services: protocol, server port, share of conversations, Pareto shape and scale of packets (the
# smaller the shape, the heavier the tail), mean packet size to the server and back.
_SERVICES: Final = np.array(
    [
        (6, 443, 0.46, 1.15, 6.0, 180, 1100),
        (17, 443, 0.12, 1.10, 8.0, 220, 1150),
        (17, 53, 0.18, 3.0, 1.0, 70, 170),
        (6, 80, 0.06, 1.2, 5.0, 160, 950),
        (17, 123, 0.03, 4.0, 1.0, 76, 76),
        (6, 22, 0.02, 1.1, 12.0, 120, 200),
        (6, 445, 0.03, 1.1, 10.0, 300, 600),
        (6, 25, 0.01, 1.5, 8.0, 700, 90),
        (6, 993, 0.02, 1.3, 8.0, 130, 600),
        (6, 3389, 0.01, 1.1, 20.0, 110, 500),
        (17, 5060, 0.01, 2.5, 2.0, 480, 520),
        (17, 16_384, 0.02, 1.2, 50.0, 200, 200),
        (1, 0x0800, 0.03, 2.0, 1.0, 84, 84),
    ]
)
_ACTIVE_TIMEOUT_MS: Final = 60_000
_INACTIVE_TIMEOUT_MS: Final = 15_000
_MAX_PACKETS: Final = 2_000_000  # x 1,500 octets stays below 2**32
_MTU: Final = 1500
_ETHERNET_HOSTS: Final = 2_048
_CLIENTS: Final = 4_096
_SERVERS: Final = 16_384
# Public AS numbers, of two and of four octets, and the AS of our own network.
_AS_NUMBERS: Final = np.array(
    [15169, 16509, 13335, 32934, 8075, 20940, 2906, 714, 3356, 1299, 3320, 6939, 14618, 396982,
     213230, 262287, 328608, 398324]
)  # fmt: skip
_OWN_AS: Final = 64_512
_AS_TRANS: Final = 23_456  # RFC 6793: stands for a four-octet number where two fit


@dataclass(frozen=True, slots=True)
class Pool:
    """
    P records.

    Attributes:
        columns: by name, (P,) integers or (P, L) uint8 octets; IPv4 addresses are (P,) uint32.
        start_age, end_age: (P,) milliseconds before the export; start_age >= end_age.

    """

    columns: Columns
    start_age: NDArray[np.int64]
    end_age: NDArray[np.int64]


def make_pool(seed: int, records: int, *, ipv6: bool = False, short_as: bool = False) -> Pool:
    """
    Return the records of one address family.

    Args:
        seed: the same seed gives the same records.
        records: P.
        ipv6: the address family.
        short_as: AS numbers of four octets become AS_TRANS, as routers do in v5.

    """
    random = np.random.default_rng([seed, 2, int(ipv6)])
    pairs = -(-records // 2)
    service = _SERVICES[_choice(random, _SERVICES[:, 2], pairs)]
    client, server = _zipf(random, _CLIENTS, pairs), _zipf(random, _SERVERS, pairs)
    hosts = _hosts(random, ipv6=ipv6)
    columns: Columns = {}

    def directions(name: str, forward: NDArray[Any], back: NDArray[Any]) -> None:
        """Interleave the two directions of each conversation."""
        both = np.stack([forward, back], axis=1)
        columns[name] = both.reshape(-1, *both.shape[2:])[:records]

    protocol, port = service[:, 0].astype(np.int64), service[:, 1].astype(np.int64)
    icmp, tcp = protocol == 1, protocol == 6
    ephemeral = np.where(icmp, 0, random.integers(32_768, 61_000, pairs))
    number = np.where(icmp, 58, protocol) if ipv6 else protocol
    directions("protocol", number, number)
    directions("src_ip", hosts["client"][client], hosts["server"][server])
    directions("dst_ip", hosts["server"][server], hosts["client"][client])
    # ICMP has no ports: type and code travel in the destination port. Echo, then echo reply.
    port = np.where(icmp & ipv6, 0x8000, port)
    directions("src_port", ephemeral, np.where(icmp, 0, port))
    directions("dst_port", port, np.where(icmp, 0x8100 if ipv6 else 0, ephemeral))

    packets = np.minimum((random.pareto(service[:, 3]) + 1) * service[:, 4], _MAX_PACKETS)
    ratio = np.where(tcp, random.uniform(0.5, 2.0, pairs), 1.0)
    directions("packets", _whole(packets), _whole(np.minimum(packets * ratio, _MAX_PACKETS)))
    size = random.lognormal(0.0, 0.35, (pairs, 2)) * service[:, 5:7]
    smallest = np.where(tcp, 40, 28) + (20 if ipv6 else 0)
    mean = np.clip(size, smallest[:, None], _MTU).reshape(-1)[:records]
    columns["bytes"] = (columns["packets"] * mean).astype(np.int64)

    single = columns["packets"] == 1
    duration = np.minimum(random.lognormal(6.5, 1.8, records), _ACTIVE_TIMEOUT_MS)
    duration = np.where(single, 0, duration).astype(np.int64)
    _ends(random, columns, duration)
    reason = columns["flow_end_reason"]
    waited = random.integers(0, 1000, records)  # in the exporter's cache after the flow's end
    end_age = np.where(reason == 1, _INACTIVE_TIMEOUT_MS + waited, waited)

    inside, outside = 1 + client % 24, 49 + server % 4
    directions("input_if", inside, outside)
    directions("output_if", outside, inside)
    directions("direction", np.zeros_like(inside), np.ones_like(inside))
    asn = _AS_NUMBERS[server % len(_AS_NUMBERS)]
    asn = np.where(asn > 65_535, _AS_TRANS, asn) if short_as else asn
    directions("src_as", np.full(pairs, _OWN_AS), asn)
    directions("dst_as", asn, np.full(pairs, _OWN_AS))
    near, far = (64, 32 + server % 17) if ipv6 else (24, 12 + server % 13)
    directions("src_mask", np.full(pairs, near), far)
    directions("dst_mask", far, np.full(pairs, near))
    directions("next_hop", hosts["uplink"][outside - 49], hosts["downlink"][inside - 1])
    directions("src_mac", hosts["mac"][client % _ETHERNET_HOSTS], hosts["mac"][outside])
    directions("dst_mac", hosts["mac"][outside], hosts["mac"][client % _ETHERNET_HOSTS])
    vlan = 100 + client % 24
    directions("vlan_id", vlan, vlan)
    tos = _choice(random, np.array([0.86, 0.06, 0.04, 0.04]), pairs)
    tos = np.array([0x00, 0x28, 0x88, 0xB8])[tos]
    directions("tos", tos, tos)
    columns["padding"] = np.zeros(records, np.int64)
    return Pool(columns, end_age + duration, end_age)


def _ends(random: Random, columns: Columns, duration: NDArray[np.int64]) -> None:
    """Add how each flow ended (RFC 5102 5.11.3): flags and end reason, by protocol and length."""
    records = len(duration)
    tcp, single = columns["protocol"] == 6, columns["packets"] == 1
    chance = random.random(records)
    active = duration >= _ACTIVE_TIMEOUT_MS
    closed = tcp & ~single & ~active & (chance < 0.8)
    reset = tcp & ~closed & ~active & (chance > 0.95)
    flags = np.where(active, 0x18, 0x1A)  # ACK PSH; with SYN where the start was seen
    flags = np.where(single, 0x02, flags)
    flags = np.where(closed, 0x1B, flags)
    flags = np.where(reset, flags | 0x04, flags)
    columns["tcp_flags"] = np.where(tcp, flags, 0)
    # 1 idle timeout, 2 active timeout, 3 end of flow detected
    columns["flow_end_reason"] = np.where(closed | reset, 3, np.where(active, 2, 1))


def _hosts(random: Random, *, ipv6: bool) -> Columns:
    """Return the addresses that clients, servers and next hops have, by rank."""
    client = np.arange(_CLIENTS)
    subnet, host = client // 200, 10 + client % 200
    server = random.permutation(np.arange(_SERVERS))
    near = random.permutation(client)
    mac = random.integers(0, 256, (_ETHERNET_HOSTS, 6), np.uint8)
    mac[:, 0] = 0x02  # locally administered, unicast
    hops = np.arange(64)
    if not ipv6:
        networks = np.array([0x08080000, 0x34000000, 0x68100000, 0x9DF00000, 0xD83A0000])
        return {
            "client": ((10 << 24) + (1 << 16) + (subnet << 8) + host)[near].astype(np.uint32),
            "server": (networks[server % 5] + (server // 5 << 4) + 1 + server % 13).astype(
                np.uint32
            ),
            "uplink": ((10 << 24) + (255 << 16) + 1 + 4 * hops).astype(np.uint32),
            "downlink": ((10 << 24) + (254 << 16) + 1 + 4 * hops).astype(np.uint32),
            "mac": mac,
        }
    return {
        "client": _ipv6(0x20010DB80001 + (subnet << 4), 0xA00 + host)[near],
        "server": _ipv6(0x2606470000 * 0x10000 + server % 97, 1 + server),
        "uplink": _ipv6(np.full(64, 0x20010DB8FFFF), 1 + hops),
        "downlink": _ipv6(np.full(64, 0x20010DB8FFFE), 1 + hops),
        "mac": mac,
    }


def _ipv6(site: NDArray[np.int64], interface: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return (R, 16) uint8 addresses of a 48-bit site prefix and an interface identifier."""
    words = np.stack([site << 16, interface], axis=1).astype(">u8")
    octets: NDArray[np.uint8] = words.view(np.uint8).reshape(-1, 16)
    return octets


def _zipf(random: Random, ranks: int, count: int) -> NDArray[np.int64]:
    """Draw ranks 0, 1, ... with weights 1 / (rank + 1)."""
    return _choice(random, 1.0 / np.arange(1, ranks + 1), count)


def _choice(random: Random, weight: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Draw indices in proportion to their weight."""
    edges = np.cumsum(weight) / weight.sum()
    return np.minimum(np.searchsorted(edges, random.random(count), "right"), len(weight) - 1)


def _whole(packets: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.maximum(1, packets).astype(np.int64)
