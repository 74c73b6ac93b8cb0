"""
Entries of a capture: templates, records and options records in file order, and their summary.

`Inspector` takes batches one after another; state between them is the decoder's, the templates
seen, and each session's boot time.
"""

from collections import Counter
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clarion.inspect.derived import Clock, boot_time, derive
from clarion.inspect.notes import Entry, Notes, address_text
from clarion.inspect.values import Value, columns, field_key, field_name
from clarion.net.frames import FrameStats
from clarion.wire.batch import DatagramBatch
from clarion.wire.constants import IPFIX, PEN_V9_SCOPE, V1, V5, V7
from clarion.wire.decode import Decoded, Decoder
from clarion.wire.faults import Fault
from clarion.wire.layout import Layout
from clarion.wire.records import Records
from clarion.wire.tally import Tally

# Sorts entries: late ones behind the others; then packet, set, template before record, number.
_Place = tuple[bool, int, int, int, int]

_SPOILT: Final = frozenset({Fault.BAD_TEMPLATE, Fault.TEMPLATE_LIMIT})


class Inspector:
    """Decodes batches of datagrams to entries, and counts them."""

    def __init__(self) -> None:
        self.decoder = Decoder()
        self.tally = Tally()
        self._notes = Notes()
        self._counts: Counter[str] = Counter()
        self._templates: dict[tuple[int, int], Layout] = {}
        self._boot_ms: dict[int, int] = {}
        self._exporters: dict[int, str] = {}

    def entries(self, batch: DatagramBatch) -> list[Entry]:
        """Return the entries of a batch, in file order; late records behind the others."""
        decoded = self.decoder.decode(batch)
        self.tally += decoded.tally
        placed: list[tuple[_Place, Entry]] = [
            *self._template_entries(decoded),
            *(placed for records in decoded.records for placed in _record_entries(records)),
        ]
        placed.sort(key=lambda item: item[0])
        entries = [entry for _, entry in placed]
        for entry in entries:
            self._complete(entry)
        self._notes.add(decoded, batch)
        return entries

    def summary(self, frames: FrameStats, note: str = "") -> Entry:
        """Return the summary entry; `frames` and `note` are the capture reader's."""
        counts, tally = self._counts, self.tally
        return {
            "kind": "summary",
            "packet_count": tally.datagrams,
            "template_count": counts["template"],
            "options_template_count": counts["options_template"],
            "record_count": counts["record"],
            "options_record_count": counts["options_record"],
            "late_records": counts["late"],
            **self._notes.summary(),
            "note": note or None,
            "frames": asdict(frames),
            "tally": {name: n for name, n in asdict(tally).items() if n},
        }

    def _exporter(self, session: int) -> str:
        if session not in self._exporters:
            self._exporters[session] = address_text(self.decoder.sessions[session].address)
        return self._exporters[session]

    def _template_entries(self, decoded: Decoded) -> list[tuple[_Place, Entry]]:
        """Return an entry for each template record; a withdrawn one has no fields."""
        faults = decoded.faults
        bad = {
            (d, o)
            for d, o, f in zip(
                faults.datagram.tolist(), faults.offset.tolist(), faults.fault, strict=True
            )
            if f in _SPOILT
        }
        found: list[tuple[_Place, Entry]] = []
        for number, event in enumerate(decoded.templates):
            if event.layout is None and (event.datagram, event.offset) in bad:
                continue
            packet = int(decoded.headers.ordinal[event.datagram])
            session = self.decoder.sessions[event.session]
            entry: Entry = {
                "kind": "template",
                "packet": packet,
                "exporter": self._exporter(event.session),
                "domain": session.domain,
                "version": session.version,
                "set": event.set_number,
                "id": event.template_id,
                "offset": event.offset,
            }
            key = (event.session, event.template_id)
            if event.layout is None:
                entry["withdrawn"] = True
                self._templates.pop(key, None)
            elif self._templates.get(key) is event.layout:
                entry["repeats"] = True
            else:
                self._templates[key] = event.layout
            if event.layout is not None and event.layout.options:
                entry["scope_count"] = event.layout.scope_count
            entry["fields"] = _template_fields(event.layout)
            found.append(((False, packet, event.set_number, 0, number), entry))
        return found

    def _complete(self, entry: Entry) -> None:
        """Count an entry, and add what takes the entries before it: boot time, derived values."""
        if entry["kind"] == "template":
            if "withdrawn" not in entry:
                self._counts["options_template" if "scope_count" in entry else "template"] += 1
            return
        session = entry.pop("session")
        export_ms, uptime_ms = entry.pop("clock")
        late = entry.get("late", False)
        self._counts["late" if late else entry["kind"]] += 1
        entry["exporter"] = self._exporter(session)
        boot_ms = boot_time(entry["fields"]) or boot_time(entry.get("scope", {}))
        if boot_ms and entry["version"] == IPFIX:
            self._boot_ms[session] = boot_ms
        if entry["kind"] == "record":
            clock = Clock(entry["version"], export_ms, uptime_ms, self._boot_ms.get(session))
            entry["derived"] = derive(entry["fields"], clock)


def _record_entries(records: Records) -> list[tuple[_Place, Entry]]:
    """Return the entries of R records; `session` and `clock` are for `_complete` to take."""
    layout, headers = records.layout, records.headers
    shown = columns(records)
    rows = records.datagram
    session, packet = headers.session[rows].tolist(), headers.ordinal[rows].tolist()
    domain = headers.domain[rows].tolist()
    clocks = list(zip(_rows(headers.export_ms, rows), _rows(headers.uptime_ms, rows), strict=True))
    set_number, number = records.set_number.tolist(), records.number.tolist()
    template_id = records.template_id.tolist()
    found: list[tuple[_Place, Entry]] = []
    for row in range(len(records)):
        parts: dict[bool, dict[str, Value]] = {True: {}, False: {}}
        raw: dict[str, str] = {}
        for column in shown:
            parts[column.scope][column.key] = column.values[row]
            octets = column.raw[row]
            if octets is not None:
                raw[column.key] = octets
        entry: Entry = {
            "kind": "options_record" if layout.options else "record",
            "packet": packet[row],
            "set": set_number[row],
            "flowset_id": None if layout.version in (V1, V5, V7) else template_id[row],
            "index": number[row],
            "version": layout.version,
            "domain": domain[row],
            "session": session[row],
            "clock": clocks[row],
        }
        if layout.options:
            entry["scope"] = parts[True]
        entry["fields"] = parts[False]
        if raw:
            entry["raw"] = raw
        if records.late:
            entry["late"] = True
        place = (records.late, packet[row], set_number[row], 1, number[row])
        found.append((place, entry))
    return found


def _rows(column: NDArray[Any], rows: NDArray[np.int64]) -> list[int]:
    return [int(v) for v in column[rows].tolist()]


def _template_fields(layout: Layout | None) -> list[list[Any]]:
    """Return [key, name, length] of each field; v9's scope types are "scope.1" and so on."""
    return [
        [
            f"scope.{field.element}" if field.pen == PEN_V9_SCOPE else field_key(field),
            field_name(field),
            field.length,
        ]
        for field in (layout.fields if layout else ())
    ]
