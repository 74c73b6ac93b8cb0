"""
The synthetic exporters: address, observation domain, uptime, template ids, place in the pool.

Rule: all of it is a function of (seed, count); what changes while a run goes on (templates
sent, next refresh) is in `datagrams`.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]

_DAY_MS: Final = 86_400_000
# Uptimes at the start of a run: old enough for every flow's age, and 19 days from the wrap of
# sysUpTime's 32 bits (49.7 days), so that a long soak does not meet it by accident.
_UPTIME_MS: Final = (_DAY_MS, 30 * _DAY_MS)
# Template ids differ between exporters, as between routers: 256 and 257, 258 and 259, ...
_TEMPLATE_PAIRS: Final = 128


@dataclass(frozen=True, slots=True)
class Exporters:
    """
    K exporters, as columns.

    Attributes:
        source: (K, 4) uint8 source addresses, or None where all send from the host's own.
        address: their text, K long: the `switch_id` a collector gives their records.
        domain: (K,) observation domain, 1 to K; in v5, engine type and id, modulo 65,536.
        uptime_ms: (K,) milliseconds between the exporter's boot and the start of the run.
        template_id: (K,) of IPv4 records; that of IPv6 records is one more.
        shift: (K,) datagram of the pool that the exporter begins with.

    """

    source: NDArray[np.uint8] | None
    address: tuple[str, ...]
    domain: Int64s
    uptime_ms: Int64s
    template_id: Int64s
    shift: Int64s

    def __len__(self) -> int:
        return len(self.domain)


def make_exporters(
    count: int, *, seed: int, pool_datagrams: int, own_address: str, v5: bool
) -> Exporters:
    """
    Return the exporters of a run.

    Args:
        count: K.
        seed: of uptimes and shifts.
        pool_datagrams: datagrams in the pool.
        own_address: the address this host reaches the target from. In 127.0.0.0/8 each exporter
            gets a loopback address of its own; elsewhere all share this one and only their
            domains tell them apart.
        v5: the domain has 16 bits.

    """
    random = np.random.default_rng([seed, 1])
    uptime = random.integers(*_UPTIME_MS, count)
    shift = random.integers(0, pool_datagrams, count)
    number = np.arange(count, dtype=np.int64)
    loopback = own_address.startswith("127.")
    source = loopback_addresses(number) if loopback else None
    return Exporters(
        source=source,
        address=(own_address,) * count if source is None else tuple(map(_dotted, source)),
        domain=(number + 1) % 65536 if v5 else number + 1,
        uptime_ms=uptime,
        template_id=256 + 2 * (number % _TEMPLATE_PAIRS),
        shift=shift,
    )


def loopback_addresses(number: Int64s) -> NDArray[np.uint8]:
    """
    Return the loopback address of each exporter, (K, 4) uint8: 127.1.0.1, 127.1.0.2, ...

    The last octet is never 0 or 255, which some collectors take for networks and broadcasts.
    """
    octets = np.empty((len(number), 4), np.uint8)
    octets[:, 0] = 127
    octets[:, 1] = 1 + number // (254 * 256)
    octets[:, 2] = number // 254 % 256
    octets[:, 3] = 1 + number % 254
    return octets


def _dotted(octets: NDArray[np.uint8]) -> str:
    return str(ipaddress.IPv4Address(octets.tobytes()))
