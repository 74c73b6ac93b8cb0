"""
Sessions: who speaks. A session is (exporter address, version, observation domain).

Templates, sequence numbers and sampling belong to a session. RFC 3954 5.1 scopes by exporter
address and source id; RFC 7011 8 by transport session and domain: over UDP exporters restart on
a new port and still mean the same templates, so the port is not part of the key.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clarion.wire.octets import Int64s

_U64 = np.uint64
_MIX = (_U64(0x9E3779B97F4A7C15), _U64(0xC2B2AE3D27D4EB4F), _U64(0x165667B19E3779F9))


class Session(NamedTuple):
    """One exporter's domain; `address` is 16 octets, IPv4 as v4-mapped."""

    address: bytes
    version: int
    domain: int


class SessionTable:
    """
    Sessions numbered from 0 in order of appearance, looked up for a whole batch at once.

    A hash of the key finds a candidate in a sorted array; the full key is then compared, so that
    colliding keys (or a sender who looks for them) cost time, never a mix-up.
    """

    def __init__(self, limit: int) -> None:
        self.sessions: list[Session] = []
        self._limit = limit
        self._rows: dict[Session, int] = {}
        self._key = np.zeros((0, 3), _U64)  # address high, address low, version and domain
        self._hash = np.zeros(0, _U64)  # sorted
        self._by_hash = np.zeros(0, np.int64)  # row of each hash

    def lookup(
        self,
        address: NDArray[np.uint8],
        version: NDArray[np.uint16],
        domain: NDArray[np.uint32],
    ) -> Int64s:
        """
        Return the session row of each datagram; new ones are added.

        -1 where version is 0, or where the table is full.
        """
        halves = np.ascontiguousarray(address).view(_U64)
        scope = (version.astype(_U64) << _U64(32)) | domain
        mixed = (halves[:, 0] * _MIX[0]) ^ (halves[:, 1] * _MIX[1]) ^ (scope * _MIX[2])
        rows: Int64s = np.full(len(version), -1)
        if len(self._hash):
            at = np.searchsorted(self._hash, mixed)
            at[at == len(self._hash)] = 0
            rows = self._by_hash[at]
            key = self._key[rows]
            wrong = (key[:, 0] != halves[:, 0]) | (key[:, 1] != halves[:, 1]) | (key[:, 2] != scope)
            if not wrong.any():
                return rows
            rows = np.where(wrong, -1, rows)
        unknown = np.flatnonzero((rows < 0) & (version > 0))
        if len(unknown):
            before = len(self.sessions)
            for i in unknown.tolist():
                rows[i] = self._row(Session(address[i].tobytes(), int(version[i]), int(domain[i])))
            if len(self.sessions) > before:
                self._index()
        return rows

    def _row(self, session: Session) -> int:
        row = self._rows.get(session)
        if row is None:
            if len(self.sessions) >= self._limit:
                return -1
            row = self._rows[session] = len(self.sessions)
            self.sessions.append(session)
        return row

    def _index(self) -> None:
        new = self.sessions[len(self._key) :]
        octets = np.frombuffer(b"".join(s.address for s in new), _U64).reshape(-1, 2)
        scope = np.array([(s.version << 32) | s.domain for s in new], _U64)
        self._key = np.concatenate([self._key, np.column_stack([octets, scope])])
        mixed = np.bitwise_xor.reduce(self._key * np.array(_MIX, _U64), axis=1)
        self._by_hash = np.argsort(mixed, kind="stable")
        self._hash = mixed[self._by_hash]
