"""
What flow tools want of a record: addresses, ports, counters and absolute times.

Each is the first of several elements that a record has; times relative to the exporter's boot
become milliseconds since 1970.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from clarion.inspect.values import Value
from clarion.wire.constants import IPFIX

SYSTEM_INIT_TIME: Final = "160"
_NOWHERE: Final = frozenset({"0.0.0.0", "::"})

# Elements of the start and the end of a flow, best first, and how many make a millisecond.
_ABSOLUTE: Final = {
    "start_ms": (("152", 1), ("154", 1000), ("156", 1_000_000)),
    "end_ms": (("153", 1), ("155", 1000), ("157", 1_000_000)),
}
_SECONDS: Final = {"start_ms": "150", "end_ms": "151"}
_DELTA_US: Final = {"start_ms": "158", "end_ms": "159"}
_UPTIME: Final = {"start_ms": "22", "end_ms": "21"}


class Clock(NamedTuple):
    """
    What a record's times are relative to.

    Attributes:
        version: 5, 9 or 10.
        export_ms: the header's time, milliseconds since 1970.
        uptime_ms: the header's sysUpTime (v5, v9), milliseconds since boot.
        boot_ms: systemInitTimeMilliseconds of the record's exporter and domain, None if unknown.

    """

    version: int
    export_ms: int
    uptime_ms: int
    boot_ms: int | None


def derive(fields: Mapping[str, Value], clock: Clock) -> dict[str, Value]:
    """Return the derived values of one record, None where it has nothing to derive them from."""
    return {
        "src_addr": _address(fields, ("8", "27")),
        "dst_addr": _address(fields, ("12", "28")),
        "src_port": _integer(fields, ("7",)),
        "dst_port": _integer(fields, ("11",)),
        "protocol": _integer(fields, ("4",)),
        "bytes": _integer(fields, ("1", "85", "352", "23")),
        "packets": _integer(fields, ("2", "86", "24")),
        "start_ms": _time(fields, "start_ms", clock),
        "end_ms": _time(fields, "end_ms", clock),
    }


def boot_time(fields: Mapping[str, Value]) -> int | None:
    """Return a record's systemInitTimeMilliseconds, where it has one."""
    return _integer(fields, (SYSTEM_INIT_TIME,))


def _address(fields: Mapping[str, Value], keys: Iterable[str]) -> str | None:
    """Return the first address that is not zero, else the first."""
    found = [v for v in map(fields.get, keys) if isinstance(v, str) and not v.startswith("0x")]
    return next((v for v in found if v not in _NOWHERE), found[0] if found else None)


def _integer(fields: Mapping[str, Value], keys: Iterable[str]) -> int | None:
    return next((v for v in map(fields.get, keys) if isinstance(v, int)), None)


def _time(fields: Mapping[str, Value], which: str, clock: Clock) -> int | None:
    for key, per_ms in _ABSOLUTE[which]:
        if (at := _integer(fields, (key,))) is not None:
            return at // per_ms
    if (at := _integer(fields, (_SECONDS[which],))) is not None:
        return at * 1000
    if (before := _integer(fields, (_DELTA_US[which],))) is not None:
        return (clock.export_ms * 1000 - before) // 1000
    uptime = _integer(fields, (_UPTIME[which],))
    if uptime is None:
        return None
    if clock.version == IPFIX:
        boot = boot_time(fields) or clock.boot_ms
        return None if boot is None else boot + uptime
    # A 32-bit clock that may have wrapped between the flow and the header.
    since = (uptime - clock.uptime_ms) & 0xFFFF_FFFF
    return clock.export_ms + since - (since >> 31 << 32)
