"""
The octets of a run, a batch of datagrams at a time.

A batch is gathered from the encoded pool; clocks, sequence numbers, domains and flow times are
then written as whole columns. Template datagrams are put before the data datagrams at which an
exporter's refresh is due. Each datagram's export clock is the time it is *due*, not the time it
happens to be sent, so that what a collector must compute follows from the script alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clarion.loadgen.script import Script, Stock
from clarion.wire.constants import IPFIX, SET_HEADER, V5, V9
from clarion.wire.encode import (
    HEADER_OCTETS,
    column_view,
    datagram_octets,
    header_view,
    message,
    record_offset,
    template_set,
)

Int64s = NDArray[np.int64]
Octets = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Batch:
    """
    D datagrams in the order they go.

    Attributes:
        octets: (B,) uint8; owned by the writer, which reuses it for its next batch.
        start, length: (D,) octet offsets and lengths in `octets`.
        exporter: (D,) row of the exporters.
        records: (D,) data records in each; 0 for template datagrams.
        due: (D,) seconds after the start.

    """

    octets: Octets
    start: Int64s
    length: Int64s
    exporter: Int64s
    records: Int64s
    due: NDArray[np.float64]


@dataclass(slots=True)
class _Rows:
    """What the datagrams of one batch have in common: (D,) columns, templates' or data's."""

    exporter: Int64s
    sequence: Int64s
    clock_ms: Int64s


class DatagramWriter:
    """
    Writes the datagrams of a script, in order.

    Args:
        script: the run.
        most: data datagrams of the largest batch.

    The only state is how many templates each exporter has sent, which v9's sequence counts.
    """

    def __init__(self, script: Script, *, most: int) -> None:
        self._script = script
        self._version = script.config.protocol.version
        self._templates = np.zeros(len(script.exporters), np.int64)
        self._template_row, self._template_id_at = _template_datagram(script)
        widths = [stock.octets.shape[1] for stock in script.stocks]
        self._octets = np.empty(most * (max(widths) + len(self._template_row)), np.uint8)

    def templates(self, first: int, last: int) -> Batch:
        """Return the template datagrams that exporters [first, last) send at the start."""
        exporter = np.arange(first, last, dtype=np.int64)
        n, width = len(exporter), len(self._template_row)
        clock_ms = np.full(n, self._script.start_ms)
        self._write_templates(
            self._octets[: n * width], _Rows(exporter, self._templates[exporter], clock_ms)
        )
        self._templates[exporter] += 1
        return Batch(
            octets=self._octets,
            start=np.arange(n) * width,
            length=np.full(n, width),
            exporter=exporter,
            records=np.zeros(n, np.int64),
            due=np.zeros(n),
        )

    def data(self, first: int, last: int) -> Batch:
        """Return data datagrams [first, last) and the template datagrams due before them."""
        script, schedule = self._script, self._script.schedule
        datagram = np.arange(first, last, dtype=np.int64)
        exporter, ordinal = schedule.exporter(datagram), schedule.ordinal(datagram)
        clock_ms = script.start_ms + schedule.due_ms(datagram)
        records = schedule.count(datagram)
        refreshed = self._refreshed(datagram, exporter, ordinal)
        sent_before = self._templates_before(exporter, refreshed)
        counted = ordinal if self._version == V9 else ordinal * schedule.records
        sequence = counted + sent_before if self._version == V9 else counted
        rows = _Rows(exporter, sequence, clock_ms)

        start = np.empty(len(datagram), np.int64)
        length = np.empty(len(datagram), np.int64)
        at = 0
        for stock, mine in self._by_stock(ordinal):
            width = stock.octets.shape[1]
            start[mine] = at + np.arange(len(start[mine])) * width
            length[mine] = width
            end = at + len(start[mine]) * width
            part = _Rows(exporter[mine], sequence[mine], clock_ms[mine])
            self._write_data(self._octets[at:end].reshape(-1, width), stock, part, ordinal[mine])
            at = end
        if len(records) and records[-1] < schedule.records:
            length[-1] = self._shorten(int(start[-1]), int(ordinal[-1]), int(records[-1]))
        due = schedule.due(datagram)
        if not refreshed.any():
            return Batch(self._octets, start, length, exporter, records, due)

        # The template datagrams' octets follow; in the order of sending each comes before its
        # data datagram, which follows it in v9's sequence.
        which = np.flatnonzero(refreshed)
        width = len(self._template_row)
        own = rows.sequence[which] - (1 if self._version == V9 else 0)
        template_rows = _Rows(exporter[which], own, clock_ms[which])
        self._write_templates(self._octets[at : at + len(which) * width], template_rows)
        template_start = at + np.arange(len(which)) * width
        return Batch(
            octets=self._octets,
            start=np.insert(start, which, template_start),
            length=np.insert(length, which, width),
            exporter=np.insert(exporter, which, exporter[which]),
            records=np.insert(records, which, 0),
            due=np.insert(due, which, due[which]),
        )

    def _by_stock(self, ordinal: Int64s) -> list[tuple[Stock, slice | NDArray[np.bool_]]]:
        stocks = self._script.stocks
        if len(stocks) == 1:
            return [(stocks[0], slice(None))]
        ipv6 = self._script.schedule.ipv6(ordinal)
        parts = [(stocks[0], ~ipv6), (stocks[1], ipv6)]
        return [(stock, mine) for stock, mine in parts if mine.any()]

    def _refreshed(self, datagram: Int64s, exporter: Int64s, ordinal: Int64s) -> NDArray[np.bool_]:
        """Return the data datagrams that a template datagram goes before."""
        refresh, schedule = self._script.config.refresh, self._script.schedule
        due = np.zeros(len(ordinal), bool)
        if self._version == V5:
            return due
        if refresh.datagrams:
            due |= (ordinal > 0) & (ordinal % refresh.datagrams == 0)
        if refresh.seconds:
            # Exporters take their turns within the interval: their templates come spread out.
            phase = (exporter + 1) / len(self._script.exporters)
            before = schedule.due(schedule.datagram(exporter, ordinal - 1))
            before = np.where(ordinal > 0, before, 0.0)
            now = schedule.due(datagram)
            seconds = refresh.seconds
            due |= np.floor(now / seconds + phase) > np.floor(before / seconds + phase)
        return due

    def _templates_before(self, exporter: Int64s, refreshed: NDArray[np.bool_]) -> Int64s:
        """Return how many templates each datagram's exporter has sent before it; counts them."""
        if not refreshed.any():
            return self._templates[exporter]
        order = np.argsort(exporter, kind="stable")
        sorted_exporter, ones = exporter[order], refreshed[order].astype(np.int64)
        running = np.cumsum(ones)
        first = np.flatnonzero(np.append(True, sorted_exporter[1:] != sorted_exporter[:-1]))
        before_group = (running - ones)[first]
        running -= np.repeat(before_group, np.diff(first, append=len(order)))
        sent = np.empty(len(exporter), np.int64)
        sent[order] = running
        sent += self._templates[exporter]
        np.add.at(self._templates, exporter[refreshed], 1)
        return sent

    def _write_data(self, octets: Octets, stock: Stock, rows: _Rows, ordinal: Int64s) -> None:
        """Write full data datagrams; octets is (D, W)."""
        script, version = self._script, self._version
        pool_row = script.pool_row(rows.exporter, ordinal)
        np.take(stock.octets, pool_row, axis=0, out=octets, mode="clip")
        uptime_ms = self._write_headers(octets, rows)
        if version != V5:
            set_id = script.exporters.template_id[rows.exporter] + int(stock.kind.ipv6)
            column_view(octets, HEADER_OCTETS[version], ">u2")[:] = set_id
        # Flow times: exporter uptime in v5 and v9, milliseconds since 1970 in IPFIX.
        clock = rows.clock_ms.astype(np.uint64) if version == IPFIX else uptime_ms
        dtype = ">u8" if version == IPFIX else ">u4"
        n, record_octets = script.schedule.records, stock.kind.record_octets
        for column, age in (("flow_start", stock.start_age), ("flow_end", stock.end_age)):
            offset = record_offset(version) + stock.kind.offset(column)
            strides = (octets.strides[0], record_octets)
            times = np.ndarray((len(octets), n), dtype, octets, offset, strides)
            np.subtract(clock[:, None], age[pool_row], out=times, casting="unsafe")

    def _write_headers(self, octets: Octets, rows: _Rows) -> NDArray[np.uint32]:
        """Write clocks, sequence and domain; return the exporters' uptime in milliseconds."""
        script, exporters = self._script, self._script.exporters
        since_start = rows.clock_ms - script.start_ms
        uptime_ms = (since_start + exporters.uptime_ms[rows.exporter]).astype(np.uint32)
        header = header_view(self._version, octets)
        header["export_s"], left_ms = np.divmod(rows.clock_ms, 1000)
        header["sequence"] = rows.sequence.astype(np.uint32)
        header["domain"] = exporters.domain[rows.exporter]
        if self._version != IPFIX:
            header["uptime_ms"] = uptime_ms
        if self._version == V5:
            header["export_ns"] = left_ms * 1_000_000
        return uptime_ms

    def _write_templates(self, octets: Octets, rows: _Rows) -> None:
        """Write template datagrams end to end."""
        matrix = octets.reshape(-1, len(self._template_row))
        matrix[:] = self._template_row
        self._write_headers(matrix, rows)
        template_id = self._script.exporters.template_id[rows.exporter]
        for at, stock in zip(self._template_id_at, self._script.stocks, strict=True):
            column_view(matrix, at, ">u2")[:] = template_id + int(stock.kind.ipv6)

    def _shorten(self, start: int, ordinal: int, records: int) -> int:
        """Cut the datagram at `start` to its first records; return its length."""
        stocks, ipv6 = self._script.stocks, self._script.schedule.ipv6(np.array([ordinal]))
        stock = stocks[-1] if ipv6[0] else stocks[0]
        version, record_octets = self._version, stock.kind.record_octets
        length = datagram_octets(version, records, record_octets)
        row = self._octets[start : start + length].reshape(1, -1)
        header = header_view(version, row)
        header["length" if version == IPFIX else "count"] = length if version == IPFIX else records
        if version != V5:
            set_octets = length - HEADER_OCTETS[version]
            column_view(row, HEADER_OCTETS[version] + 2, ">u2")[:] = set_octets
        row[:, record_offset(version) + records * record_octets :] = 0  # v9's padding
        return length


def _template_datagram(script: Script) -> tuple[Octets, list[int]]:
    """Return the exporters' template datagram and where its template ids are; v5: no octets."""
    version = script.config.protocol.version
    if version == V5:
        return np.empty(0, np.uint8), []
    sets = [template_set(stock.kind.layout, 256) for stock in script.stocks]
    header = {"count": len(sets)} if version == V9 else {}
    octets = np.frombuffer(message(version, sets, **header), np.uint8)
    ends = np.cumsum([HEADER_OCTETS[version], *(len(s) for s in sets)])
    return octets, [int(end) + SET_HEADER for end in ends[:-1]]
