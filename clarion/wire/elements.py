"""
The Information Element registry: what a field's number means.

Numbers of NetFlow v9 up to 127 and of IPFIX are one space (RFC 7012 4), enterprise elements are
known by (PEN, number), and PEN 29305 means "the same, of the reverse direction" (RFC 5103 6.1).
"""

import difflib
from enum import Enum
from functools import cache
from typing import NamedTuple

from clarion.errors import UsageError
from clarion.wire._iana import ELEMENTS
from clarion.wire.constants import PEN_IANA, PEN_REVERSE


class DataType(Enum):
    """Abstract data types (RFC 7012 3.1; the lists of RFC 6313; unsigned256 of RFC 9740)."""

    OCTET_ARRAY = "octetArray"
    UNSIGNED8 = "unsigned8"
    UNSIGNED16 = "unsigned16"
    UNSIGNED32 = "unsigned32"
    UNSIGNED64 = "unsigned64"
    UNSIGNED256 = "unsigned256"
    SIGNED8 = "signed8"
    SIGNED16 = "signed16"
    SIGNED32 = "signed32"
    SIGNED64 = "signed64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BOOLEAN = "boolean"
    MAC_ADDRESS = "macAddress"
    STRING = "string"
    DATE_TIME_SECONDS = "dateTimeSeconds"
    DATE_TIME_MILLISECONDS = "dateTimeMilliseconds"
    DATE_TIME_MICROSECONDS = "dateTimeMicroseconds"
    DATE_TIME_NANOSECONDS = "dateTimeNanoseconds"
    IPV4_ADDRESS = "ipv4Address"
    IPV6_ADDRESS = "ipv6Address"
    BASIC_LIST = "basicList"
    SUB_TEMPLATE_LIST = "subTemplateList"
    SUB_TEMPLATE_MULTI_LIST = "subTemplateMultiList"


class Element(NamedTuple):
    """One Information Element; `pen` is 0 for IANA's and for v9 vendors' plain numbers."""

    pen: int
    number: int
    name: str
    type: DataType


_BY_NUMBER: dict[tuple[int, int], Element] = {
    (pen, number): Element(pen, number, name, DataType(kind))
    for pen, number, name, kind in ELEMENTS
}


@cache
def _by_name() -> dict[str, Element]:
    """Map lower-case names to elements; the lowest PEN goes first, as ELEMENTS is sorted."""
    names: dict[str, Element] = {}
    for known in _BY_NUMBER.values():
        names.setdefault(known.name.lower(), known)
    return names


def element(number: int, pen: int = PEN_IANA) -> Element | None:
    """
    Return what is known of an element, or None.

    An element of PEN 29305 is IANA's element of that number in the reverse direction: its name
    with `reverse` before it, its type the same (RFC 5103 6.1).
    """
    if pen == PEN_REVERSE:
        forward = _BY_NUMBER.get((PEN_IANA, number))
        return forward and Element(pen, number, reverse_name(forward.name), forward.type)
    return _BY_NUMBER.get((pen, number))


def reverse_name(name: str) -> str:
    """Return the name of the reverse element: octetDeltaCount, reverseOctetDeltaCount."""
    return f"reverse{name[:1].upper()}{name[1:]}"


def find(text: str) -> Element:
    """
    Return the element a person means: "sourceIPv4Address", "8", "9.1232" (PEN and number).

    Raises:
        UsageError: no such element; the message names the nearest one.

    """
    wanted = text.strip()
    pen_text, dot, number_text = wanted.rpartition(".")
    if number_text.isdecimal() and (pen_text.isdecimal() or not dot):
        found = element(int(number_text), int(pen_text or 0))
        if found is None:
            raise UsageError(f"element {wanted}: unknown number; give a name or number IANA lists")
        return found
    names = _by_name()
    lower = wanted.lower()
    if lower in names:
        return names[lower]
    if lower.startswith("reverse") and lower[7:] in names:
        forward = names[lower[7:]]
        if forward.pen == PEN_IANA:
            return Element(PEN_REVERSE, forward.number, reverse_name(forward.name), forward.type)
    near = difflib.get_close_matches(lower, names, n=1, cutoff=0.5)
    hint = f"; did you mean {names[near[0]].name!r}?" if near else "; give IANA's name or a number"
    raise UsageError(f"element {text!r}: unknown name{hint}")
