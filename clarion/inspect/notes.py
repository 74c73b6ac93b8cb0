"""What is wrong with a capture: sets without a template, faults, sequence numbers that jump."""

import socket
from typing import Any, Final

import numpy as np

from clarion.wire.batch import V4_MAPPED_PREFIX, DatagramBatch
from clarion.wire.constants import IPFIX, SFLOW, V1, V5, V5_HEADER, V5_RECORD, V9
from clarion.wire.decode import Decoded
from clarion.wire.faults import Fault
from clarion.wire.scan import SetOutcome

Entry = dict[str, Any]

# Of each list no more than these are kept; the counts beside them go on.
LISTED_MAX: Final = 1000

_UNDECODED: Final = (SetOutcome.NO_TEMPLATE, SetOutcome.WAITING)
_REASON: Final = "no template seen yet"


class Listed:
    """A list that stops growing, and a count that does not."""

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Count an entry, and keep it while there is room."""
        self.count += 1
        if len(self.kept) < LISTED_MAX:
            self.kept.append(entry)


class Notes:
    """Collects notes of batches decoded one after another."""

    def __init__(self) -> None:
        self._undecodable = Listed()
        self._problems = Listed()
        self._jumps = Listed()
        self._next_sequence: dict[int, int | None] = {}

    def add(self, decoded: Decoded, batch: DatagramBatch) -> None:
        """Note what is to be said of a batch."""
        self._note_sets(decoded)
        self._note_faults(decoded)
        self._note_rest(decoded, batch)
        self._note_sequence(decoded)

    def summary(self) -> Entry:
        """Return the summary entry's part."""
        return {
            "undecodable_set_count": self._undecodable.count,
            "undecodable_sets": self._undecodable.kept,
            "problem_count": self._problems.count,
            "problems": self._problems.kept,
            "sequence_jump_count": self._jumps.count,
            "sequence_jumps": self._jumps.kept,
        }

    def _note_sets(self, decoded: Decoded) -> None:
        sets, headers = decoded.sets, decoded.headers
        for i in np.flatnonzero(np.isin(sets.outcome, _UNDECODED)).tolist():
            row = int(sets.datagram[i])
            self._undecodable.add(
                {
                    "packet": int(headers.ordinal[row]),
                    "set": int(sets.number[i]),
                    "flowset_id": int(sets.set_id[i]),
                    "length": int(sets.length[i]),
                    "exporter": address_text(headers.address[row].tobytes()),
                    "domain": int(headers.domain[row]),
                    "reason": _REASON,
                }
            )

    def _note_faults(self, decoded: Decoded) -> None:
        faults = decoded.faults
        columns = (faults.datagram.tolist(), faults.offset.tolist(), faults.fault.tolist())
        for row, offset, code in sorted(zip(*columns, strict=True)):
            fault = Fault(code)
            if fault is not Fault.NO_TEMPLATE:
                packet = int(decoded.headers.ordinal[row])
                text = fault.name.lower().replace("_", " ")
                self._problems.add(
                    {"packet": packet, "offset": offset, "problem": f"{text} at octet {offset}"}
                )

    def _note_rest(self, decoded: Decoded, batch: DatagramBatch) -> None:
        """Note datagrams that go on behind the end their header gives (IPFIX, v5)."""
        version, count = decoded.headers.version, decoded.headers.count.astype(np.int64)
        end = np.select([version == IPFIX, version == V5], [count, V5_HEADER + V5_RECORD * count])
        for row in np.flatnonzero((end > 0) & (end < batch.length)).tolist():
            self._problems.add(
                {
                    "packet": int(decoded.headers.ordinal[row]),
                    "offset": int(end[row]),
                    "problem": f"message ends at octet {end[row]} of {batch.length[row]}",
                }
            )

    def _note_sequence(self, decoded: Decoded) -> None:
        """Compare each header's sequence number with what the one before makes it."""
        headers, sets = decoded.headers, decoded.sets
        records = np.zeros(len(headers), np.int64)
        for part in decoded.records:
            if not part.late:
                np.add.at(records, part.datagram, 1)
        unknown = set(sets.datagram[np.isin(sets.outcome, _UNDECODED)].tolist())
        numbered = (headers.session >= 0) & (headers.version != V1)
        for row in np.flatnonzero(numbered).tolist():
            session, got = int(headers.session[row]), int(headers.sequence[row])
            expected = self._next_sequence.get(session)
            if expected is not None and expected != got:
                jump = {"packet": int(headers.ordinal[row]), "expected": expected, "got": got}
                self._jumps.add(jump)
            # v9 and sFlow count datagrams, v5, v7 and IPFIX records.
            step = 1 if headers.version[row] in (V9, SFLOW) else int(records[row])
            lost = row in unknown and headers.version[row] == IPFIX
            self._next_sequence[session] = None if lost else (got + step) & 0xFFFF_FFFF


def address_text(octets: bytes) -> str:
    """Return an exporter's address, 16 octets, as text; a v4-mapped one in dotted decimal."""
    if octets.startswith(V4_MAPPED_PREFIX):
        return socket.inet_ntop(socket.AF_INET, octets[12:])
    return socket.inet_ntop(socket.AF_INET6, octets)
