"""
The Measurement: what one instance takes on one machine, and the JSON file that keeps it.

`clarion measure` writes it, `clarion plan` reads it, and neither knows the other. Rule: a file is
read whole and checked key by key, or refused; it is written whole or not at all.
"""

import dataclasses
import json
import math
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Union

from clarion.errors import MeasurementError

if typing.TYPE_CHECKING:
    from _typeshed import DataclassInstance

VERSION = 1
FILE_NAME = "measurement.json"
_REMEDY = "measure again with 'clarion measure', or name another file with --measurement"


class Verdict(StrEnum):
    """How far a capacity can be trusted."""

    FINAL = "final"  # full trials, repeated, the least of them
    INDICATIVE = "indicative"  # short trials, not repeated
    TESTER_LIMITED = "tester-limited"  # the load generator gave out first: at least this much


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine: cores are those the process may use, rmem_max is in octets (None: unknown)."""

    cpu_model: str
    cores: int
    kernel: str
    rmem_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """
    What was measured: the load and the settings of the collector.

    `datagram_octets` is the mean UDP payload, `row_octets` what the sink stored per record,
    `rcvbuf_octets` what one socket may hold, as the kernel charges it; None where it is not known
    or not applicable. `bursts`: datagrams came many at a time, not singly.
    """

    protocol: str
    records_per_datagram: float
    exporters: int
    sink: str
    workers: int
    steering: str
    batch_records: int | None = None
    datagram_octets: float | None = None
    row_octets: float | None = None
    rcvbuf_octets: int | None = None
    bursts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """
    One load, offered for `seconds`: rates in flow records per second, counts in records.

    `backlog_records` were sent but not yet received by the collector when sending ended;
    `socket_fill` is the fullest the receive buffer was, 0 to 1; `cpu_seconds` is of the collector
    from the first record to its end, `cpu_cores` its share of processors while the load was on,
    `others_cores` what other processes took of its processor; `reason` says why it failed.
    """

    intended_fps: float
    offered_fps: float
    delivered_fps: float
    seconds: float
    records_sent: int
    records_received: int
    records_delivered: int
    losses: Mapping[str, int]
    cpu_seconds: float
    peak_rss_bytes: int
    backlog_records: int
    socket_fill: float
    passed: bool
    cpu_cores: float = 0.0
    others_cores: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """
    The result and everything it rests on.

    `capacity_fps` is the highest rate with zero loss and no growing backlog, the least of the
    repeats; `cpu_us_per_flow` is collector CPU microseconds a record near that rate, and
    `cpu_base_cores` what it takes besides, however small the load; `rss_bytes` the most memory.
    """

    date: str
    clarion: str
    host: Host
    measured: Subject
    trials: tuple[Trial, ...]
    capacity_fps: float
    cpu_us_per_flow: float
    rss_bytes: int
    verdict: Verdict
    cpu_base_cores: float = 0.0
    version: int = VERSION


def state_dir(given: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """
    The folder for what outlives a run: the flag, `$CLARION_STATE_DIR`, or the XDG place.

    `$XDG_STATE_HOME/clarion`, else `~/.local/state/clarion`; a relative XDG path is ignored, as
    the XDG Base Directory Specification asks.
    """
    environ = os.environ if environ is None else environ
    if named := given or environ.get("CLARION_STATE_DIR"):
        return Path(named).expanduser()
    xdg = environ.get("XDG_STATE_HOME", "")
    if xdg.startswith("/"):
        return Path(xdg) / "clarion"
    home = environ.get("HOME")
    return (Path(home) if home else Path.home()) / ".local" / "state" / "clarion"


def to_json(measurement: Measurement) -> dict[str, Any]:
    """The Measurement as the one JSON object that the file and `--json` hold."""
    return {"event": "measurement"} | dataclasses.asdict(measurement)


def write(measurement: Measurement, path: Path) -> None:
    """
    Write the file so that a reader sees the old one or the new one, never a part.

    Raises:
        MeasurementError: the folder or file cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            file.write(json.dumps(to_json(measurement), indent=2, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as err:
        partial.unlink(missing_ok=True) if partial.parent.is_dir() else None
        raise MeasurementError(
            f"cannot write measurement file {path}: {err.strerror}; name a folder you may write "
            "with --state-dir, or a file with --out"
        ) from err


def read(path: Path) -> Measurement:
    """
    Read and check a measurement file; keys it does not know are passed over.

    Raises:
        MeasurementError: no such file, not JSON, a newer version, or a key that is missing or
            not what it should be: named with what was found and what is wanted.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise MeasurementError(f"measurement file {path}: {err.strerror}; {_REMEDY}") from err
    except (ValueError, RecursionError) as err:
        raise MeasurementError(f"measurement file {path}: not JSON ({err}); {_REMEDY}") from err
    try:
        version = content.get("version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > VERSION:
            raise MeasurementError(
                f"version {version} is newer than this clarion reads ({VERSION}); "
                "upgrade clarion, or measure again with this one"
            )
        measurement = typing.cast("Measurement", _check(content, Measurement, ""))
        if measurement.capacity_fps <= 0:
            raise _wrong("capacity_fps", measurement.capacity_fps, "a number above 0")
        if measurement.measured.records_per_datagram <= 0:
            found = measurement.measured.records_per_datagram
            raise _wrong("measured.records_per_datagram", found, "a number above 0")
    except MeasurementError as err:
        raise MeasurementError(f"measurement file {path}: {err}") from None
    return measurement


def find(directory: Path) -> Measurement | None:
    """
    The Measurement kept in a state directory, or None where nothing was measured yet.

    Raises:
        MeasurementError: there is a file and it is not usable.
    """
    path = directory / FILE_NAME
    return read(path) if path.exists() else None


def _check(value: object, wanted: object, key: str) -> object:
    """`value` as the type `wanted`, or a MeasurementError that names the key."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, Union):
        return None if value is None else _check(value, arguments[0], key)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(key, value, "a list")
        return tuple(_check(item, arguments[0], f"{key}[{i}]") for i, item in enumerate(value))
    if origin is not None:
        if not isinstance(value, dict):
            raise _wrong(key, value, "an object")
        return {name: _check(item, arguments[1], f"{key}.{name}") for name, item in value.items()}
    if isinstance(wanted, type) and dataclasses.is_dataclass(wanted):
        return _check_object(value, wanted, key)
    if wanted is Verdict:
        if value not in list(Verdict):
            raise _wrong(key, value, " or ".join(repr(str(verdict)) for verdict in Verdict))
        return Verdict(str(value))
    if wanted is int or wanted is float:
        return _check_number(value, wanted is int, key)
    if not isinstance(value, bool if wanted is bool else str):
        raise _wrong(key, value, "true or false" if wanted is bool else "text")
    return value


def _check_object(value: object, wanted: "type[DataclassInstance]", key: str) -> object:
    if not isinstance(value, dict):
        raise _wrong(key or "(the file)", value, "an object")
    kinds = typing.get_type_hints(wanted)
    content = {}
    for field in dataclasses.fields(wanted):
        name = f"{key}.{field.name}" if key else field.name
        if field.name in value:
            content[field.name] = _check(value[field.name], kinds[field.name], name)
        elif field.default is dataclasses.MISSING or field.name == "version":
            raise MeasurementError(f"key {name!r}: found nothing, wanted a value; {_REMEDY}")
    return wanted(**content)


def _check_number(value: object, whole: bool, key: str) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int if whole else (int, float))
        or not 0 <= value < math.inf
    ):
        raise _wrong(key, value, f"a {'whole ' if whole else ''}number not below 0")
    return value


def _wrong(key: str, found: object, wanted: str) -> MeasurementError:
    text = repr(found)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return MeasurementError(f"key {key!r}: found {text}, wanted {wanted}; {_REMEDY}")
