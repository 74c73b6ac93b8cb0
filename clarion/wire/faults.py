"""What can be wrong with a datagram: a bounded set of names, found at (datagram, octet offset)."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray


class Fault(IntEnum):
    """A way in which a datagram breaks its format."""

    BAD_VERSION = 1  # the first octets are no version we know
    SHORT_HEADER = 2  # fewer octets than the version's header, or an IPFIX length below 16
    LENGTH_MISMATCH = 3  # the IPFIX header promises more octets than came
    COUNT_MISMATCH = 4  # the header counts more records (v1, v5, v7) or samples (sFlow) than came
    BAD_SET_LENGTH = 5  # a set length below 4 cannot advance: the datagram ends there
    SET_OVERRUN = 6  # a set or sample reaches past the end of its datagram
    RESERVED_SET = 7  # set ids 2-255 (v9), 0, 1, 4-255 (IPFIX); an sFlow sample of unknown type
    BAD_TEMPLATE = 8  # a template that ends outside its set, or with impossible counts
    TEMPLATE_LIMIT = 9  # more templates or fields than are kept for one exporter
    NO_TEMPLATE = 10  # a data set whose template has not come
    ZERO_LENGTH_RECORD = 11  # a template whose records have no octets
    RECORD_OVERRUN = 12  # a record reaches past the end of its set or sample, or is cut short in it
    TOO_MANY_SESSIONS = 13  # more exporters and domains than are kept
    TOO_MANY_SETS = 14  # more sets in one datagram than any exporter sends
    BAD_AGENT = 15  # an sFlow agent's address of a type that has no length


@dataclass(frozen=True, slots=True)
class FaultTable:
    """
    F faults in the order found.

    Attributes:
        datagram: (F,) int64, row of the batch.
        offset: (F,) int64, octets from the start of the datagram.
        fault: (F,) uint8, a `Fault`.

    """

    datagram: NDArray[np.int64]
    offset: NDArray[np.int64]
    fault: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.fault)

    def counts(self) -> dict[Fault, int]:
        """Return how often each fault occurs, without those that do not."""
        found = np.bincount(self.fault, minlength=0)
        return {Fault(code): int(n) for code, n in enumerate(found) if n}


class FaultList:
    """Faults being collected while a batch is decoded."""

    def __init__(self) -> None:
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.int64], Fault]] = []

    def add(self, fault: Fault, datagram: NDArray[np.int64], offset: NDArray[np.int64]) -> Self:
        """Note one fault for many datagrams; `datagram` and `offset` are (F,) int64."""
        if len(datagram):
            self._parts.append((datagram, offset, fault))
        return self

    def table(self) -> FaultTable:
        """Return what was collected."""
        if not self._parts:
            none = np.zeros(0, np.int64)
            return FaultTable(none, none, np.zeros(0, np.uint8))
        return FaultTable(
            np.concatenate([part[0] for part in self._parts]),
            np.concatenate([part[1] for part in self._parts]),
            np.repeat(
                np.array([part[2] for part in self._parts], np.uint8),
                [len(part[0]) for part in self._parts],
            ),
        )
