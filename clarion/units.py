"""
Rates, sizes and durations as people write them: `10M/h`, `64MiB`, `30s`.

Rule: the only module that knows suffixes. Everything else holds plain numbers per second, in
octets, in seconds. A text that cannot be meant raises a one-line `UsageError`.
"""

import math
import re

from clarion.errors import UsageError

_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[ ]*(.*)", re.DOTALL)

_MULTIPLES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_PERIODS = {
    "s": 1.0,
    "sec": 1.0,
    "min": 60.0,
    "m": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
}
_OCTETS = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_SECONDS = {"": 1.0, "ms": 1e-3} | _PERIODS

_RATE_WANTED = "write a number with k, M or G and /s, /min, /h or /d, as in 10M/h"
_OCTETS_WANTED = "write a number with KiB, MiB or GiB (or kB, MB, GB), as in 64MiB"
_SECONDS_WANTED = "write a number with ms, s, min, h or d, as in 30s"


def rate(text: str) -> float:
    """
    Read a rate; the answer is per second.

    `10M/h` is 10e6 / 3600 = 2777.8 a second. Multiples k, M, G are decimal; the period is
    /s, /min, /h or /d, and a number without one is per second.

    Raises:
        UsageError: not a number, negative, not finite, or a suffix that is not known.
    """
    number, suffix = _split(text, "rate", _RATE_WANTED)
    multiple, slash, period = (part.strip() for part in suffix.partition("/"))
    if multiple not in _MULTIPLES:
        raise UsageError(f"rate {text!r}: unknown multiple {multiple!r}; {_RATE_WANTED}")
    if slash and period not in _PERIODS:
        raise UsageError(f"rate {text!r}: unknown period {period!r}; {_RATE_WANTED}")
    per_second = number * _MULTIPLES[multiple] / _PERIODS[period or "s"]
    return _finite(per_second, text, "rate", _RATE_WANTED)


def octets(text: str) -> int:
    """
    Read a size in octets; a fraction is rounded to the nearest octet.

    `64MiB` is 64 x 2**20. KiB, MiB, GiB, TiB are binary; kB, MB, GB, TB decimal.

    Raises:
        UsageError: not a number, negative, not finite, or a unit that is not known.
    """
    number, unit = _split(text, "size", _OCTETS_WANTED)
    if unit not in _OCTETS:
        raise UsageError(f"size {text!r}: unknown unit {unit!r}; {_OCTETS_WANTED}")
    return round(_finite(number * _OCTETS[unit], text, "size", _OCTETS_WANTED))


def seconds(text: str) -> float:
    """
    Read a duration in seconds: `30s`, `500ms`, `5min` or `5m`, `2h`, `1d`, `0.5`.

    Raises:
        UsageError: not a number, negative, not finite, or a unit that is not known.
    """
    number, unit = _split(text, "duration", _SECONDS_WANTED)
    if unit not in _SECONDS:
        raise UsageError(f"duration {text!r}: unknown unit {unit!r}; {_SECONDS_WANTED}")
    return _finite(number * _SECONDS[unit], text, "duration", _SECONDS_WANTED)


def format_rate(per_second: float) -> str:
    """
    A rate for people, four significant digits: `2778/s`, `12.5k/s`, `1.25M/s`.

    `rate` reads it back to within those digits.
    """
    for suffix, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if per_second >= size * (1 - 5e-5):
            return f"{_short(per_second / _MULTIPLES[suffix])}{suffix}/s"
    return f"{_short(per_second)}/s"


def format_octets(size: float) -> str:
    """
    A size for people, four significant digits and a binary unit: `512 B`, `1.5 MiB`.

    `octets` reads it back to within those digits.
    """
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size >= _OCTETS[unit]:
            return f"{_short(size / _OCTETS[unit])} {unit}"
    return f"{_short(size)} B"


def format_seconds(duration: float) -> str:
    """
    A duration for people, four significant digits: `250ms`, `30s`, `1.5min`, `2h`, `1d`.

    `seconds` reads it back to within those digits.
    """
    for unit in ("d", "h", "min", "s"):
        if duration >= _SECONDS[unit]:
            return f"{_short(duration / _SECONDS[unit])}{unit}"
    return f"{_short(duration * 1e3)}ms" if duration > 0 else "0s"


def _split(text: str, what: str, wanted: str) -> tuple[float, str]:
    """The number at the start of `text`, not negative and finite, and the suffix after it."""
    stripped = text.strip()
    if not stripped:
        raise UsageError(f"{what} {text!r}: empty; {wanted}")
    match = _NUMBER.fullmatch(stripped)
    if match is None:
        raise UsageError(f"{what} {text!r}: not a number; {wanted}")
    number = float(match[1])
    if match[1].startswith("-"):
        raise UsageError(f"{what} {text!r}: negative; {wanted}")
    return _finite(number, text, what, wanted), match[2]


def _finite(number: float, text: str, what: str, wanted: str) -> float:
    if not math.isfinite(number):
        raise UsageError(f"{what} {text!r}: too large; {wanted}")
    return number


def _short(number: float) -> str:
    """Four significant digits, no exponent where digits will do, no trailing zeros."""
    if number == 0:
        return "0"
    digits = max(0, 3 - math.floor(math.log10(number)))
    if digits > 12 or number >= 1e12:
        return f"{number:.4g}"
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
