"""
All of a run that is known before it starts: schedule, exporters, templates, pool.

Rule: a script is a pure function of its arguments, numpy's generators included. The sender plays
it, and `truth` reads off it what should have arrived, record by record; neither keeps notes of
single records.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clarion.errors import UsageError
from clarion.loadgen.config import ETHERNET_PAYLOAD, Config, Protocol
from clarion.loadgen.exporters import Exporters, make_exporters
from clarion.loadgen.layouts import Kind, kind
from clarion.loadgen.schedule import Schedule
from clarion.loadgen.traffic import POOL_RECORDS, Pool, make_pool
from clarion.net.send import MAX_PAYLOAD, MAX_SEGMENTS
from clarion.wire.encode import datagram_octets, datagrams, encode_records, record_offset


@dataclass(frozen=True, slots=True)
class Stock:
    """
    One address family's pool, encoded: P records as P / n datagrams.

    Attributes:
        kind: the template.
        pool: the records as columns.
        octets: (P / n, W) uint8: the datagrams; header clocks, sequence and domain, set id and
            flow times are zero.
        start_age, end_age: (P / n, n) uint32, milliseconds before the export.

    """

    kind: Kind
    pool: Pool
    octets: NDArray[np.uint8]
    start_age: NDArray[np.uint32]
    end_age: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Script:
    """
    A run, planned.

    Attributes:
        config: what was asked.
        start_ms: milliseconds since 1970 at which the first record becomes due.
        own_address: the address this host reaches the target from.
        schedule: which datagram goes when.
        exporters: who sends.
        stocks: the templates in use, IPv4's before IPv6's.

    """

    config: Config
    start_ms: int
    own_address: str
    schedule: Schedule
    exporters: Exporters
    stocks: tuple[Stock, ...]

    @property
    def pool_datagrams(self) -> int:
        """Datagrams in the pool of each address family."""
        return len(self.stocks[0].octets)

    def digest(self) -> str:
        """Return a hash of the encoded pools: to tell that they were made again the same."""
        hashed = hashlib.sha256()
        for stock in self.stocks:
            for part in (stock.octets, stock.start_age, stock.end_age):
                hashed.update(np.ascontiguousarray(part).tobytes())
        return hashed.hexdigest()

    def pool_row(
        self, exporter: NDArray[np.int64], ordinal: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the pool datagram behind an exporter's data datagram `ordinal`."""
        return (ordinal + self.exporters.shift[exporter]) % self.pool_datagrams


def make_script(config: Config, *, own_address: str, start_ms: int = 0) -> Script:
    """
    Plan a run.

    Args:
        config: what was asked.
        own_address: the address this host reaches the target from, as text.
        start_ms: milliseconds since 1970; nothing else depends on it, so it may be replaced.

    Raises:
        UsageError: more records per datagram than fit.

    """
    version = config.protocol.version
    families = [v6 for v6 in (False, True) if config.ipv6_share != (0 if v6 else 1)]
    kinds = [kind(version, ipv6=v6, layer2=config.layer2) for v6 in families]
    widest = max(kinds, key=lambda k: k.record_octets)
    n = _records_per_datagram(config, widest)
    octets = datagram_octets(version, n, widest.record_octets)
    pool_datagrams = -(-POOL_RECORDS // n)
    return Script(
        config=config,
        start_ms=start_ms,
        own_address=own_address,
        schedule=Schedule(
            fps=config.fps,
            records=n,
            exporters=config.exporters,
            burst=_burst(config, n, octets) if config.gso else 1,
            total_records=_total(config),
            ipv6_share=config.ipv6_share,
        ),
        exporters=make_exporters(
            config.exporters,
            seed=config.seed,
            pool_datagrams=pool_datagrams,
            own_address=own_address,
            v5=config.protocol is Protocol.V5,
        ),
        stocks=tuple(_stock(config.seed, k, pool_datagrams, n) for k in kinds),
    )


def _stock(seed: int, kind: Kind, pool_datagrams: int, records: int) -> Stock:
    """Make one family's traffic and encode it."""
    layout = kind.layout
    v5 = "padding" in kind.columns
    pool = make_pool(seed, pool_datagrams * records, ipv6=kind.ipv6, short_as=v5)
    # Flow times depend on the export clock: left 0 here, written for each datagram sent.
    zeros = np.zeros(pool_datagrams * records, np.int64)
    encoded = encode_records(layout, [pool.columns.get(name, zeros) for name in kind.columns])
    shape = (pool_datagrams, records)
    return Stock(
        kind=kind,
        pool=pool,
        octets=datagrams(layout, 0, encoded.reshape(*shape, -1)),
        start_age=pool.start_age.astype(np.uint32).reshape(shape),
        end_age=pool.end_age.astype(np.uint32).reshape(shape),
    )


def _records_per_datagram(config: Config, widest: Kind) -> int:
    version = config.protocol.version
    asked = config.records_per_datagram
    if asked is not None:
        most = (MAX_PAYLOAD - 3 - record_offset(version)) // widest.record_octets
        most = 30 if config.protocol is Protocol.V5 else most
        if asked > most:
            raise UsageError(
                f"--records-per-datagram {asked}: at most {most} records of "
                f"{widest.record_octets} octets fit a {config.protocol} datagram"
            )
        return asked
    if config.protocol is Protocol.V5:
        fitting = 30
    else:
        fitting = (ETHERNET_PAYLOAD - record_offset(version)) // widest.record_octets
    return max(1, min(fitting, 30 if version == 5 else 24, math.floor(config.fps)))


def _burst(config: Config, records: int, octets: int) -> int:
    """Return the datagrams of one exporter's turn with UDP_SEGMENT: a millisecond's worth."""
    most = min(MAX_SEGMENTS, MAX_PAYLOAD // octets)
    return max(1, min(most, math.ceil(config.fps / records / 1000)))


def _total(config: Config) -> int | None:
    """Return floor(fps x duration); the rounding makes 0.29/s x 100 s come to 29."""
    if config.duration_s is None:
        return None
    return math.floor(round(config.fps * config.duration_s, 6))
