"""
The decoder: a batch of datagrams in, columns and counters out.

    headers -> sessions -> set walk -> templates -> data sets grouped by layout -> Records

State that outlives a batch is the decoder's: sessions, templates, and sets that wait for one.
`decode(batch)` gives what decoding each of its datagrams in turn would give: a template defined
in the middle of a batch holds for the sets behind it. Bad octets are faults and counters; no
octets make it raise, loop or grow without bound.
"""

from dataclasses import dataclass

import numpy as np

from clarion.wire.batch import SLACK, DatagramBatch
from clarion.wire.constants import IPFIX, SET_HEADER, SFLOW, V1, V5, V7, V9
from clarion.wire.faults import Fault, FaultList, FaultTable
from clarion.wire.gather import gather
from clarion.wire.headers import Headers, read_headers
from clarion.wire.layout import FIXED_LAYOUTS, Layout
from clarion.wire.octets import Int64s, OctetReader
from clarion.wire.records import Records
from clarion.wire.scan import SET_HEADER_OCTETS, SetOutcome, SetTable, scan_sets
from clarion.wire.sessions import Session, SessionTable
from clarion.wire.sflow import Samples, read_samples
from clarion.wire.tally import Tally
from clarion.wire.templates import TemplateEvent, TemplateTable, parse_template_set
from clarion.wire.waiting import WaitingRoom, WaitingSet


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds on what the decoder keeps, whoever sends."""

    sessions: int = 65_536
    templates: int = 262_144
    templates_per_session: int = 4_096
    fields_per_template: int = 1_024
    waiting_octets: int = 16 << 20
    waiting_ms: int = 30 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Decoded:
    """
    What a batch contained.

    Attributes:
        headers: (N,) rows, one a datagram.
        records: one `Records` a layout, flows and options apart; late ones apart too, with
            headers of their own. In no particular order.
        templates: template records, in order.
        sets: every set.
        faults: what was malformed.
        tally: counters of this batch.

    """

    headers: Headers
    records: list[Records]
    templates: list[TemplateEvent]
    sets: SetTable
    faults: FaultTable
    tally: Tally


class Decoder:
    """NetFlow, IPFIX and sFlow datagrams to columns; holds templates and sessions."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._sessions = SessionTable(self.limits.sessions)
        self._templates = TemplateTable(
            max_templates=self.limits.templates,
            max_per_session=self.limits.templates_per_session,
        )
        self._waiting = WaitingRoom(
            max_octets=self.limits.waiting_octets, max_age_ms=self.limits.waiting_ms
        )
        self._ordinal = 0

    @property
    def sessions(self) -> list[Session]:
        """Exporters and their domains; `Headers.session` is a row of it."""
        return self._sessions.sessions

    @property
    def waiting_octets(self) -> int:
        """Memory held by sets that wait for their template."""
        return self._waiting.octets

    def decode(self, batch: DatagramBatch) -> Decoded:
        """Decode a batch; never raises on wire data, keeps no view of `batch.octets`."""
        return _BatchDecoding(self, batch).run()


class _BatchDecoding:
    """One batch on its way through the decoder."""

    def __init__(self, decoder: Decoder, batch: DatagramBatch) -> None:
        self._limits = decoder.limits
        self._templates = decoder._templates
        self._waiting = decoder._waiting
        self._batch = batch
        self._reader = OctetReader(batch.octets)
        self._faults = FaultList()
        self._tally = Tally(datagrams=len(batch), octets=int(batch.length.sum()))
        self._records: list[Records] = []
        self._events: list[TemplateEvent] = []
        self._released: list[tuple[WaitingSet, Layout]] = []
        headers, head, usable = read_headers(batch, self._reader, decoder._ordinal, self._faults)
        decoder._ordinal += len(batch)
        session = decoder._sessions.lookup(headers.address, headers.version, headers.domain)
        refused = np.flatnonzero((session < 0) & (usable > 0))
        if len(refused):
            self._faults.add(Fault.TOO_MANY_SESSIONS, refused, np.zeros_like(refused))
            self._tally.refused += len(refused)
            head[refused] = usable[refused] = 0
        headers.session[:] = session
        self._headers = headers
        self._count_datagrams(usable)
        self._sets = scan_sets(
            headers, batch.start, batch.length, head, usable,
            self._reader, self._faults, self._tally,
        )  # fmt: skip
        # Where each set's body begins in the buffer, and its octets.
        head = SET_HEADER_OCTETS[self._sets.version]
        self._body = batch.start[self._sets.datagram] + self._sets.offset + head
        self._octets = self._sets.length - head
        self._tally.octets_set_header += int(head.sum())

    def run(self) -> Decoded:
        sets, tally = self._sets, self._tally
        tally.sets = len(sets)
        reserved = np.flatnonzero(sets.outcome == SetOutcome.RESERVED)
        if len(reserved):
            tally.sets_reserved += len(reserved)
            tally.octets_reserved += int(self._octets[reserved].sum())
            self._faults.add(Fault.RESERVED_SET, sets.datagram[reserved], sets.offset[reserved])
        announcing = np.flatnonzero(sets.outcome == SetOutcome.TEMPLATES)
        if len(announcing):
            self._read_templates(announcing)
        data = np.flatnonzero(sets.outcome == SetOutcome.DECODED)
        self._decode_data(data)
        self._templates.merge()
        if self._released:
            self._decode_late()
        if self._waiting and len(self._batch):
            tally.sets_expired += self._waiting.expire(int(self._batch.receive_ms[-1]))
        return Decoded(
            self._headers, self._records, self._events, sets, self._faults.table(), tally
        )

    def _count_datagrams(self, usable: Int64s) -> None:
        count = np.bincount(self._headers.version[usable > 0], minlength=SFLOW + 1)
        tally = self._tally
        tally.datagrams_v1, tally.datagrams_v5 = int(count[V1]), int(count[V5])
        tally.datagrams_v7, tally.datagrams_v9 = int(count[V7]), int(count[V9])
        tally.datagrams_ipfix, tally.datagrams_sflow = int(count[IPFIX]), int(count[SFLOW])
        tally.malformed = tally.datagrams - int(count.sum()) - tally.refused

    def _read_templates(self, announcing: Int64s) -> None:
        """Parse the template sets and note what they change, each at its place in the batch."""
        sets = self._sets
        self._tally.template_sets += len(announcing)
        self._tally.octets_template += int(self._octets[announcing].sum())
        for position in announcing.tolist():
            datagram = int(sets.datagram[position])
            session = int(self._headers.session[datagram])
            offset = int(sets.offset[position]) + SET_HEADER
            parsed = parse_template_set(
                self._reader.slice(int(self._body[position]), int(self._octets[position])),
                version=int(sets.version[position]),
                options=bool(sets.options[position]),
                max_fields=self._limits.fields_per_template,
            )
            faults = list(parsed.faults)
            for definition in parsed.definitions:
                if not self._templates.apply(definition, session, position):
                    faults.append((definition.offset, Fault.TEMPLATE_LIMIT))
                elif definition.layout is not None and self._waiting:
                    key = session << 16 | definition.template_id
                    self._released += [
                        (waiting, definition.layout) for waiting in self._waiting.release(key)
                    ]
                self._events.append(
                    TemplateEvent(
                        datagram,
                        int(sets.number[position]),
                        offset + definition.offset,
                        session,
                        definition.template_id,
                        definition.layout,
                    )
                )
            for at, fault in faults:
                self._faults.add(fault, np.array([datagram]), np.array([offset + at]))

    def _decode_data(self, data: Int64s) -> None:
        """Find each data set's layout and decode the sets of each layout together."""
        sets, tally = self._sets, self._tally
        version = sets.version[data]
        chained = (version == V9) | (version == IPFIX)
        if not chained.all():
            for fixed, compiled in FIXED_LAYOUTS.items():
                rows = data[version == fixed]
                if len(rows):
                    self._decode_sets(compiled, rows)
            rows = data[version == SFLOW]
            if len(rows):
                self._decode_samples(rows)
            data = data[chained]
        if not len(data):
            return
        key = self._headers.session[sets.datagram[data]] << 16 | sets.set_id[data]
        number = self._templates.lookup(key, data)
        unknown = number < 0
        if unknown.any():
            self._keep_waiting(data[unknown], key[unknown])
            data, number = data[~unknown], number[~unknown]
        # Sets grouped by layout, in arrival order within each.
        order = np.argsort(number, kind="stable")
        present, first = np.unique(number[order], return_index=True)
        for which, group in zip(present.tolist(), np.split(order, first[1:]), strict=False):
            compiled = self._templates.layouts[which]
            if compiled.minimum_octets == 0:
                rows = data[group]
                sets.outcome[rows] = SetOutcome.ZERO_LENGTH
                tally.sets_zero_length += len(rows)
                tally.octets_zero_length += int(self._octets[rows].sum())
                self._faults.add(Fault.ZERO_LENGTH_RECORD, sets.datagram[rows], sets.offset[rows])
            else:
                self._decode_sets(compiled, data[group])

    def _decode_sets(self, compiled: Layout, rows: Int64s) -> None:
        """Decode the sets at `rows` of the set table, all of one layout."""
        sets, tally = self._sets, self._tally
        start, length = self._body[rows], self._octets[rows]
        found = gather(self._reader, compiled, start, length)
        tally.data_sets += len(rows)
        used = int(found.used.sum())
        tally.octets_record += used
        rest = int(length.sum()) - used
        if found.broken.any():
            # What is left there is no padding: zeros would have been records.
            broken = rows[found.broken]
            left = int((length - found.used)[found.broken].sum())
            rest -= left
            tally.octets_malformed += left
            self._faults.add(Fault.RECORD_OVERRUN, sets.datagram[broken], sets.offset[broken])
        tally.octets_padding += rest
        self._add(
            Records(
                compiled,
                self._headers,
                found.fixed,
                found.variable,
                (sets.datagram[rows], sets.number[rows], sets.set_id[rows], found.count),
            )
        )

    def _decode_samples(self, rows: Int64s) -> None:
        """Decode sFlow samples at `rows` of the set table."""
        sets, start = self._sets, self._body[rows]
        self._tally.data_sets += len(rows)
        samples = Samples(
            rows, sets.set_id[rows], sets.datagram[rows], sets.offset[rows],
            start, start + self._octets[rows],
        )  # fmt: skip
        for found in read_samples(
            self._reader, self._headers, self._batch.start, samples, self._faults, self._tally
        ):
            one = np.ones(len(found.row), np.int64)
            place = (sets.datagram[found.row], sets.number[found.row], sets.set_id[found.row], one)
            self._add(Records(found.layout, self._headers, found.fixed, {}, place))

    def _keep_waiting(self, rows: Int64s, key: Int64s) -> None:
        sets, tally = self._sets, self._tally
        self._faults.add(Fault.NO_TEMPLATE, sets.datagram[rows], sets.offset[rows])
        tally.sets_no_template += len(rows)
        tally.octets_no_template += int(self._octets[rows].sum())
        kept = self._waiting.fitting(self._octets[rows])
        tally.sets_kept += kept
        sets.outcome[rows] = SetOutcome.NO_TEMPLATE
        sets.outcome[rows[:kept]] = SetOutcome.WAITING
        # The template may come later in this very batch.
        coming = self._templates.next_definition(key, rows).tolist()
        for i, row in enumerate(rows[:kept].tolist()):
            datagram = sets.datagram[row : row + 1]
            waiting = WaitingSet(
                self._headers.take(datagram),
                int(sets.number[row]),
                int(sets.set_id[row]),
                self._reader.slice(int(self._body[row]), int(self._octets[row])),
            )
            if coming[i] >= 0:
                self._released.append((waiting, self._templates.layouts[coming[i]]))
            else:
                self._waiting.keep(int(key[i]), waiting)

    def _decode_late(self) -> None:
        """Decode the sets whose template came in this batch."""
        self._tally.sets_recovered += len(self._released)
        groups: dict[Layout, list[WaitingSet]] = {}
        for waiting, compiled in self._released:
            if compiled.minimum_octets:
                groups.setdefault(compiled, []).append(waiting)
        for compiled, group in groups.items():
            n = len(group)
            length = np.fromiter((len(waiting.body) for waiting in group), np.int64, n)
            octets = b"".join(waiting.body for waiting in group) + bytes(SLACK)
            start = np.cumsum(length) - length
            found = gather(OctetReader(np.frombuffer(octets, np.uint8)), compiled, start, length)
            self._tally.late_records += len(found.fixed)
            self._add(
                Records(
                    compiled,
                    Headers.concat([waiting.header for waiting in group]),
                    found.fixed,
                    found.variable,
                    (
                        np.arange(n),
                        np.fromiter((waiting.number for waiting in group), np.int64, n),
                        np.fromiter((waiting.set_id for waiting in group), np.int64, n),
                        found.count,
                    ),
                    late=True,
                )
            )

    def _add(self, records: Records) -> None:
        if not len(records):
            return
        if records.layout.options:
            self._tally.options_records += len(records)
        else:
            self._tally.records += len(records)
        self._records.append(records)
