"""
The collector's settings: flag > environment (`CLARION_COLLECTOR_*`) > TOML file > default.

One table, `CollectorConfig`, names every setting once; flag, environment name and TOML key follow
from the field's name. All problems are reported together.
"""

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from clarion import units
from clarion.errors import UsageError

ENVIRONMENT_PREFIX: Final = "CLARION_COLLECTOR_"
DEFAULT_SINK: Final = "parquet:./flows"
_LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_TRUE: Final = ("true", "yes", "on", "1")
_FALSE: Final = ("false", "no", "off", "0")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{value!r} is not a text")
    return value.strip()


def _texts(value: Any) -> tuple[str, ...]:
    """A list of texts, or one text with spaces between (environment)."""
    found = value.split() if isinstance(value, str) else value
    if not isinstance(found, list | tuple):
        raise UsageError(f"{value!r} is not a text or a list of texts")
    return tuple(_text(one) for one in found)


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _TRUE + _FALSE:
        return value.strip().lower() in _TRUE
    raise UsageError(f"{value!r} is neither true nor false")


def _integer(least: int, most: int | None = None) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        try:
            number = int(value) if not isinstance(value, bool | float) else None
        except (TypeError, ValueError):
            number = None
        if number is None:
            raise UsageError(f"{value!r} is not a whole number")
        if number < least or (most is not None and number > most):
            wanted = f"{least} to {most}" if most is not None else f"{least} or more"
            raise UsageError(f"{number} is out of range, {wanted}")
        return number

    return read


def _number(least: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise UsageError(f"{value!r} is not a number") from None
        if not least <= number < float("inf"):
            raise UsageError(f"{value!r} is out of range, {least:g} or more")
        return number

    return read


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{value!r} is not a duration")
    return units.seconds(str(value))


def _octets(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UsageError(f"{value!r} is not a size")
    octets = units.octets(str(value))
    if not 1 <= octets < 2**30:
        raise UsageError(f"{value!r} is out of range, 1 to 1023MiB")
    return octets


def _level(value: Any) -> str:
    level = _text(value).lower()
    if level not in _LOG_LEVELS:
        raise UsageError(f"{value!r} is none of {', '.join(_LOG_LEVELS)}")
    return level


def _only(allowed: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if str(value).strip().lower() != allowed:
            raise UsageError(f"{value!r} is not in this version; only {allowed}")
        return allowed

    return read


def _setting(read: Callable[[Any], Any], **default: Any) -> Any:
    return field(metadata={"read": read}, **default)


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectorConfig:
    """
    What `clarion collect` was asked to do; durations in seconds, sizes in octets.

    `progress_interval` None means 1 s on a terminal and 10 s elsewhere; 0 is off.
    """

    bind_host: str = _setting(_text, default="0.0.0.0")
    netflow_port: int = _setting(_integer(0, 65535), default=2055)
    ipfix_port: int = _setting(_integer(0, 65535), default=4739)
    sflow_port: int = _setting(_integer(0, 65535), default=6343)
    sink: tuple[str, ...] = _setting(_texts, default=())
    backend_url: str | None = _setting(_text, default=None)
    batch_size: int = _setting(_integer(1), default=1000)
    batch_interval: float = _setting(_seconds, default=5.0)
    # 32 MiB: about a second of 1 M flows/s while another process has the core.
    udp_rcvbuf: int = _setting(_octets, default=32 << 20)
    # Decoded records that wait for a slow sink.
    queue_octets: int = _setting(_octets, default=64 << 20)
    retry_attempts: int = _setting(_integer(0), default=3)
    retry_backoff: float = _setting(_number(0.0), default=1.5)
    switch_id_from_ip: bool = _setting(_truth, default=True)
    state_dir: str | None = _setting(_text, default=None)
    cpu_affinity: int | None = _setting(_integer(0), default=None)
    log_level: str = _setting(_level, default="info")
    progress_interval: float | None = _setting(_seconds, default=None)
    duration: float | None = _setting(_seconds, default=None)
    workers: str = _setting(_only("1"), default="1")
    journal: str = _setting(_only("off"), default="off")
    metrics_port: str = _setting(_only("0"), default="0")

    @property
    def sinks(self) -> tuple[str, ...]:
        """The sinks to open: those named, and the backend; Parquet where none is named."""
        backend = (self.backend_url,) if self.backend_url else ()
        return (*self.sink, *backend) or (DEFAULT_SINK,)


_FIELDS: Final[dict[str, Field[Any]]] = {f.name: f for f in fields(CollectorConfig)}


def load_config(
    flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None
) -> CollectorConfig:
    """
    Read the settings of a collector.

    Args:
        flags: field name -> value; None where the flag was not given.
        environment: the process environment; `CLARION_COLLECTOR_CONFIG` names a TOML file too.
        file: TOML file, its keys at the top, named as the fields.

    Raises UsageError that lists every problem, with the place each value came from.
    """
    problems: list[str] = []
    sources: list[tuple[str, Mapping[str, Any]]] = []
    given = {name: value for name, value in flags.items() if value is not None}
    sources.append(("--{flag}", given))
    named = {
        name: environment[ENVIRONMENT_PREFIX + name.upper()]
        for name in _FIELDS
        if environment.get(ENVIRONMENT_PREFIX + name.upper(), "") != ""
    }
    sources.append((ENVIRONMENT_PREFIX + "{upper}", named))
    in_environment = environment.get(ENVIRONMENT_PREFIX + "CONFIG")
    if file is None and in_environment:
        file = Path(in_environment)
    if file is not None:
        sources.append((f"{file}: {{name}}", _read_file(file, problems)))

    values: dict[str, Any] = {}
    for name, entry in _FIELDS.items():
        for place, source in sources:
            if name not in source:
                continue
            try:
                values[name] = entry.metadata["read"](source[name])
            except UsageError as err:
                where = place.format(flag=flag_name(name), upper=name.upper(), name=name)
                problems.append(f"{where}: {err}")
            break
    if problems:
        raise UsageError("; ".join(problems))
    return CollectorConfig(**values)


def flag_name(name: str) -> str:
    """Return the flag of a field, without its dashes."""
    return name.replace("_", "-")


def _read_file(file: Path, problems: list[str]) -> dict[str, Any]:
    """Read a TOML file; what is wrong with it is added to `problems`."""
    try:
        with file.open("rb") as opened:
            table = tomllib.load(opened)
    except OSError as err:
        problems.append(f"{file}: cannot read: {(err.strerror or str(err)).lower()}")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        problems.append(f"{file}: not TOML: {err}")
        return {}
    for key in table.keys() - _FIELDS.keys():
        near = difflib.get_close_matches(key.replace("-", "_"), _FIELDS, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        problems.append(f"{file}: unknown key {key!r}{hint}")
    return table
