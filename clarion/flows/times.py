"""
Flow start and end as milliseconds since 1970, from whichever form the exporter chose.

Elements: RFC 7012 5.9 (150-159, 160), RFC 3954 8 (21, 22). NTP form: RFC 7011 6.1.9, 6.1.10.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from clarion.wire.constants import IPFIX
from clarion.wire.layout import Layout
from clarion.wire.records import Records

Millis = NDArray[np.int64]
Mask = NDArray[np.bool_]
# Milliseconds since 1970, and where there is no time (None: everywhere is one).
Times = tuple[Millis, Mask | None]
TimeReader = Callable[[Records], Times]

SYSTEM_INIT = 160  # systemInitTimeMilliseconds
_NTP_TO_UNIX = 2_208_988_800  # seconds from 1900 to 1970
_LAST_MS = 253_402_300_799_999  # the end of the year 9999: later is no time

# Start and end elements, in the order in which they are preferred.
_START = ((152, "ms"), (154, "ntp"), (156, "ntp"), (150, "s"), (158, "delta"), (22, "uptime"))
_END = ((153, "ms"), (155, "ntp"), (157, "ntp"), (151, "s"), (159, "delta"), (21, "uptime"))


class BootTimes:
    """When each session's exporter started (IE 160), learnt from options records."""

    def __init__(self) -> None:
        self._boot = np.full(0, -1)

    def learn(self, session: NDArray[np.int64], boot_ms: NDArray[np.int64]) -> None:
        """Take (R,) session rows and their start times, in milliseconds since 1970."""
        if not len(session):
            return
        missing = int(session.max()) + 1 - len(self._boot)
        if missing > 0:
            self._boot = np.concatenate([self._boot, np.full(missing, -1)])
        self._boot[session] = boot_ms

    def of(self, session: NDArray[np.int64]) -> Millis:
        """Return the start time of each session, -1 where it was never told."""
        known = session < len(self._boot)
        if not len(self._boot):
            return np.full(len(session), -1)
        boot: Millis = np.where(known, self._boot[np.where(known, session, 0)], -1)
        return boot


def time_reader(layout: Layout, boots: BootTimes, *, end: bool) -> TimeReader | None:
    """Return how to read the start (or end) of this layout's records, None if they have none."""
    for element, form in _END if end else _START:
        position = layout.find(element)
        length = layout.fields[position].length if position >= 0 else 0
        if not 1 <= length <= 8 or (form == "ntp" and length != 8):
            continue
        if form == "uptime":
            return _uptime_reader(layout, position, boots)
        return {"ms": _millis, "s": _seconds, "ntp": _ntp, "delta": _delta}[form](position)
    return None


def _millis(position: int) -> TimeReader:
    return lambda records: _bounded(records.unsigned(position), 1)


def _seconds(position: int) -> TimeReader:
    return lambda records: _bounded(records.unsigned(position), 1000)


def _bounded(value: NDArray[np.unsignedinteger], scale: int) -> Times:
    """Scale to milliseconds; what lies past the year 9999 is no time."""
    late = value > _LAST_MS // scale if value.dtype.itemsize == 8 else None
    return value.astype(np.int64) * scale, late if late is not None and late.any() else None


def _ntp(position: int) -> TimeReader:
    def read(records: Records) -> Times:
        value = records.unsigned(position).astype(np.uint64)
        seconds = (value >> np.uint64(32)).astype(np.int64) - _NTP_TO_UNIX
        seconds += np.where(seconds < 0, 1 << 32, 0)  # NTP era 1 begins in 2036
        fraction = (value & np.uint64(0xFFFFFFFF)) * np.uint64(1000) >> np.uint64(32)
        unknown = value == 0  # RFC 5905 6
        return seconds * 1000 + fraction.astype(np.int64), unknown if unknown.any() else None

    return read


def _delta(position: int) -> TimeReader:
    def read(records: Records) -> Times:
        export_us = records.headers.export_ms[records.datagram] * 1000
        delta, unknown = _bounded(records.unsigned(position), 1)
        return (export_us - delta) // 1000, unknown

    return read


def _uptime_reader(layout: Layout, position: int, boots: BootTimes) -> TimeReader:
    """Milliseconds of sysUpTime: against the header's clock, in IPFIX against IE 160."""
    init = layout.find(SYSTEM_INIT)
    if init >= 0 and layout.fields[init].length not in range(1, 9):
        init = -1

    def against_header(records: Records) -> Times:
        rows = records.datagram
        value = records.unsigned(position).astype(np.uint32)
        # sysUpTime wraps after 49.7 days, and a flow may end just after the header was written:
        # the difference is a signed 32-bit number.
        age = (records.headers.uptime_ms[rows] - value).view(np.int32)
        return records.headers.export_ms[rows] - age, None

    def against_init(records: Records) -> Times:
        if init >= 0:
            boot = records.unsigned(init).astype(np.int64)
        else:
            boot = boots.of(records.headers.session[records.datagram])
        since, late = _bounded(records.unsigned(position), 1)
        unknown = (boot < 0) | (boot > _LAST_MS - np.minimum(since, _LAST_MS))
        if late is not None:
            unknown |= late
        return boot + since, unknown if unknown.any() else None

    return against_init if layout.version == IPFIX else against_header
