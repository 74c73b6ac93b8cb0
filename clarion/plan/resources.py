"""
Cores, memory, network, buffer and disk for a load on n instances.

Rule: pure; what one record costs comes in as `Costs`, each number with its source, and every
row that comes out carries the weakest source it rests on.
"""

from dataclasses import dataclass

from clarion.measurement import Measurement
from clarion.plan.demand import Quantity, Source, weakest
from clarion.plan.stalls import buffer_setting, receive_buffer

# NetFlow v9, 24 records of the usual 60 octets with their headers: one Ethernet frame's worth.
RECORDS_PER_DATAGRAM = 24.0
DATAGRAM_OCTETS = 1464.0
HEADER_OCTETS = 28  # IPv4 20 and UDP 8, on every datagram
ROW_OCTETS = 40.0  # Parquet with LZ4, one row of the flow schema
RSS_BYTES = 128 * 2**20  # interpreter, numpy, pyarrow and the batches in flight

SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one record, one datagram and one instance cost; units in the names, times in s."""

    cpu_us_per_flow: Quantity
    cpu_base_cores: Quantity
    rss_bytes: Quantity
    records_per_datagram: Quantity
    datagram_octets: Quantity
    row_octets: Quantity
    stall_s: Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One row: a quantity of the busiest instance, and of all instances together."""

    key: str
    name: str
    unit: str
    per_instance: float
    total: float
    source: Source
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One load: in all, and on the busiest of the instances that carry it."""

    name: str
    fps: float
    instances: int
    busiest_share: float


def costs(capacity_fps: float, measurement: Measurement | None, stall: Quantity) -> Costs:
    """What is measured where there is a measurement, and stated assumptions elsewhere."""
    core = 1e6 / capacity_fps
    one_core = f"one core carries the capacity: 1e6 / {capacity_fps:g}"
    frame = "24 records in a NetFlow v9 datagram of 1464 octets"
    assumed = Costs(
        cpu_us_per_flow=Quantity(core, Source.ASSUMED, one_core),
        cpu_base_cores=Quantity(0.0, Source.ASSUMED, "none"),
        rss_bytes=Quantity(RSS_BYTES, Source.ASSUMED, "128 MiB a process"),
        records_per_datagram=Quantity(RECORDS_PER_DATAGRAM, Source.ASSUMED, frame),
        datagram_octets=Quantity(DATAGRAM_OCTETS, Source.ASSUMED, frame),
        row_octets=Quantity(ROW_OCTETS, Source.ASSUMED, "40 octets a row of LZ4 Parquet"),
        stall_s=stall,
    )
    if measurement is None:
        return assumed
    subject = measurement.measured
    seen = f"{subject.records_per_datagram:.4g} records in a {subject.protocol} datagram"
    return Costs(
        cpu_us_per_flow=_measured(
            measurement.cpu_us_per_flow or None, "as measured", assumed.cpu_us_per_flow
        ),
        cpu_base_cores=Quantity(measurement.cpu_base_cores, Source.MEASURED, "CPU at any load"),
        rss_bytes=_measured(measurement.rss_bytes or None, "highest RSS", assumed.rss_bytes),
        records_per_datagram=_measured(
            subject.records_per_datagram, seen, assumed.records_per_datagram
        ),
        datagram_octets=_measured(subject.datagram_octets, seen, assumed.datagram_octets),
        row_octets=_measured(
            subject.row_octets, f"octets a row, {subject.sink}", assumed.row_octets
        ),
        stall_s=stall,
    )


def resources(level: Level, cost: Costs, average_fps: float) -> list[Resource]:
    """
    The rows for one load level.

        cores  = base + l x cpu / 1e6     memory = RSS + receive buffer
        Mbit/s = l / r x (d + 28) x 8 / 1e6
        disk   = average x 86,400 x row   buffer = l x S / r x truesize, to a power of two

    l is the busiest instance's load for the per-instance column and the whole load for the
    total; r records in a datagram of d octets; `average_fps` is what a day holds.

    10M/h, 24 records, 1,464 octets: 115.7 datagrams/s and 1.381 Mbit/s, 9.6 GB a day at 40
    octets a row.
    """
    busiest = level.fps * level.busiest_share
    records, octets = cost.records_per_datagram.value, cost.datagram_octets.value
    cpu, base, rss = cost.cpu_us_per_flow, cost.cpu_base_cores, cost.rss_bytes
    buffer = buffer_setting(receive_buffer(busiest, cost.stall_s.value, records))
    frame = weakest(cost.records_per_datagram.source, cost.datagram_octets.source)
    buffer_source = weakest(cost.stall_s.source, Source.ASSUMED)
    mbit = (octets + HEADER_OCTETS) * 8 / 1e6

    def row(
        key: str, name: str, unit: str, values: tuple[float, float], why: tuple[Source, str]
    ) -> Resource:
        return Resource(
            key=key,
            name=name,
            unit=unit,
            per_instance=values[0],
            total=values[1],
            source=why[0],
            basis=why[1],
        )

    def by_load(per_record: float) -> tuple[float, float]:
        return busiest * per_record, level.fps * per_record

    stored = average_fps * SECONDS_A_DAY * cost.row_octets.value
    return [
        row("fps", "load", "records/s", by_load(1), (Source.GIVEN, level.name)),
        row(
            "cores",
            "CPU",
            "cores",
            (
                base.value + busiest * cpu.value / 1e6,
                base.value * level.instances + level.fps * cpu.value / 1e6,
            ),
            (
                weakest(cpu.source, base.source),
                f"{cpu.value:.3g} us a record, {base.value:.3g} cores besides; {cpu.basis}",
            ),
        ),
        row(
            "memory_octets",
            "memory",
            "octets",
            (rss.value + buffer, (rss.value + buffer) * level.instances),
            (rss.source, f"{rss.basis} + receive buffer"),
        ),
        row(
            "mbit_per_s",
            "network",
            "Mbit/s",
            by_load(mbit / records),
            (frame, f"{cost.datagram_octets.basis} + {HEADER_OCTETS} of IP and UDP"),
        ),
        row(
            "datagrams_per_s",
            "datagrams",
            "1/s",
            by_load(1 / records),
            (cost.records_per_datagram.source, cost.records_per_datagram.basis),
        ),
        row(
            "rcvbuf_octets",
            "receive buffer",
            "octets",
            (buffer, buffer * level.instances),
            (buffer_source, f"a pause of {cost.stall_s.value:g} s, 2304 octets a datagram"),
        ),
        row(
            "disk_octets_per_day",
            "disk a day",
            "octets/day",
            (stored * level.busiest_share, stored),
            (
                cost.row_octets.source,
                f"{cost.row_octets.value:.4g} octets a row, 24 h at peak without margin",
            ),
        ),
    ]


def _measured(value: float | None, basis: str, otherwise: Quantity) -> Quantity:
    return otherwise if value is None else Quantity(value, Source.MEASURED, basis)
