"""
A captured frame's UDP datagram: link layer, IP, fragments, UDP.

Checksums are not looked at (offload leaves them wrong), lengths are, and no frame raises: what is
not a whole UDP datagram is counted in `FrameStats` and passed over.

Source: RFC 791 3.1, RFC 8200 4, RFC 768; link types as listed by tcpdump.org.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from clarion.wire.batch import V4_MAPPED_PREFIX

# Link types, the numbers of pcap's header. 12 and 14 are raw IP on some BSDs.
_ETHERNET, _COOKED, _COOKED2 = 1, 113, 276
_FAMILY: Final = frozenset({0, 108})  # a 4-octet address family, then IP
_RAW: Final = frozenset({12, 14, 101, 228, 229})
LINK_TYPES: Final = frozenset({_ETHERNET, _COOKED, _COOKED2}) | _FAMILY | _RAW

_VLAN_TAGS: Final = frozenset({0x8100, 0x88A8, 0x9100})
_IP_TYPES: Final = frozenset({0x0800, 0x86DD})
_UDP, _AUTHENTICATION, _FRAGMENT = 17, 51, 44
_EXTENSIONS: Final = frozenset({0, 43, 60, 135, 139, 140})

# Fragments: how many datagrams may wait, how long for their last fragment (RFC 8200 4.5: 60 s).
_WAITING_MAX: Final = 256
_WAITING_MS: Final = 60_000
_IP_MAX: Final = 65_535


class Datagram(NamedTuple):
    """One UDP datagram; addresses are 16 octets, IPv4 as v4-mapped; time in ms since 1970."""

    payload: bytes
    address: bytes
    port: int
    target: bytes
    target_port: int
    receive_ms: int


@dataclass(slots=True)
class FrameStats:
    """What became of the frames of a capture."""

    frames: int = 0
    datagrams: int = 0  # UDP datagrams handed on
    not_udp: int = 0  # another protocol, or an unknown link type
    other_port: int = 0  # UDP, to a port that was not asked for
    malformed: int = 0  # headers that contradict themselves or the frame's length
    cut: int = 0  # datagrams shorter than their headers say: the capture's snap length
    fragments: int = 0  # frames that were fragments of a datagram
    unassembled: int = 0  # datagrams given up because a fragment never came


class FrameReader:
    """
    Finds UDP datagrams in frames; keeps the fragments that wait for others.

    Args:
        ports: UDP destination ports wanted; empty for all.

    """

    def __init__(self, ports: frozenset[int] = frozenset()) -> None:
        self.stats = FrameStats()
        self._ports = ports
        self._waiting: dict[bytes, _Fragments] = {}

    def datagram(self, link: int, frame: bytes, receive_ms: int) -> Datagram | None:
        """Return the UDP datagram that a frame holds or completes."""
        self.stats.frames += 1
        try:
            at = _network_offset(link, frame)
            if at < 0:
                self.stats.not_udp += 1
                return None
            version = frame[at] >> 4
            if version == 4:
                return self._ipv4(frame, at, receive_ms)
            if version == 6:
                return self._ipv6(frame, at, receive_ms)
        except IndexError:  # a header that ends behind the frame
            self.stats.malformed += 1
            return None
        self.stats.not_udp += 1
        return None

    def close(self) -> FrameStats:
        """Give up what still waits for fragments; return the final counts."""
        self.stats.unassembled += len(self._waiting)
        self._waiting.clear()
        return self.stats

    def _ipv4(self, frame: bytes, at: int, receive_ms: int) -> Datagram | None:
        header = (frame[at] & 15) * 4
        length = _u16(frame, at + 2) or len(frame) - at  # 0: segmentation left to the card
        source, target = frame[at + 12 : at + 16], frame[at + 16 : at + 20]
        if header < 20 or length < header or len(target) < 4:
            self.stats.malformed += 1
            return None
        if frame[at + 9] != _UDP:
            self.stats.not_udp += 1
            return None
        body = frame[at + header : at + length]
        missing = length - header - len(body)
        flags = _u16(frame, at + 6)
        offset, more = (flags & 0x1FFF) * 8, bool(flags & 0x2000)
        if offset or more:
            key = frame[at + 4 : at + 6] + source + target
            whole = self._fragment(key, offset, body, receive_ms, more=more, missing=missing)
            if whole is None:
                return None
            body, missing = whole, 0
        return self._udp(
            body, V4_MAPPED_PREFIX + source, V4_MAPPED_PREFIX + target, receive_ms, missing
        )

    def _ipv6(self, frame: bytes, at: int, receive_ms: int) -> Datagram | None:
        source, target = frame[at + 8 : at + 24], frame[at + 24 : at + 40]
        if len(target) < 16:
            self.stats.malformed += 1
            return None
        length = _u16(frame, at + 4)
        end = at + 40 + length if length else len(frame)
        kind, here = frame[at + 6], at + 40
        fragment: tuple[int, bool, bytes] | None = None
        while kind != _UDP:
            if kind in _EXTENSIONS:
                step = frame[here + 1] * 8 + 8
            elif kind == _AUTHENTICATION:
                step = frame[here + 1] * 4 + 8
            elif kind == _FRAGMENT:
                flags = _u16(frame, here + 2)
                fragment = (flags & 0xFFF8, bool(flags & 1), frame[here + 4 : here + 8])
                step = 8
            else:
                self.stats.not_udp += 1
                return None
            kind, here = frame[here], here + step
            if fragment and fragment[0]:  # what follows is not a header, but the middle of one
                break
        body = frame[here:end]
        missing = end - here - len(body)
        if fragment and (fragment[0] or fragment[1]):
            offset, more, mark = fragment
            key = mark + source + target
            whole = self._fragment(key, offset, body, receive_ms, more=more, missing=missing)
            if whole is None:
                return None
            body, missing = whole, 0
        return self._udp(body, source, target, receive_ms, missing)

    def _fragment(
        self, key: bytes, offset: int, body: bytes, now: int, *, more: bool, missing: int
    ) -> bytes | None:
        """Keep one fragment; return the whole IP payload when it was the last one missing."""
        self.stats.fragments += 1
        waiting = self._waiting.get(key)
        if waiting is None or now - waiting.since > _WAITING_MS:
            if waiting is not None or len(self._waiting) >= _WAITING_MAX:
                self._waiting.pop(key if waiting else next(iter(self._waiting)))
                self.stats.unassembled += 1
            waiting = self._waiting[key] = _Fragments(now)
        if missing > 0 or offset + len(body) > _IP_MAX or (more and len(body) % 8):
            self.stats.malformed += 1
            return None
        if not waiting.add(offset, body, more=more):
            return None
        del self._waiting[key]
        whole = waiting.whole()
        if whole is None:
            self.stats.malformed += 1
        return whole

    def _udp(
        self, body: bytes, source: bytes, target: bytes, now: int, missing: int
    ) -> Datagram | None:
        if len(body) < 8:
            self.stats.malformed += 1
            return None
        target_port = _u16(body, 2)
        if self._ports and target_port not in self._ports:
            self.stats.other_port += 1
            return None
        length = _u16(body, 4) or len(body)
        if length < 8 or length > len(body) + max(missing, 0):
            self.stats.malformed += 1
            return None
        if length > len(body):
            self.stats.cut += 1
        self.stats.datagrams += 1
        return Datagram(body[8:length], source, _u16(body, 0), target, target_port, now)


class _Fragments:
    """The fragments of one datagram, by offset; an overlap spoils it (RFC 5722 4)."""

    def __init__(self, since: int) -> None:
        self.since = since
        self._pieces: dict[int, bytes] = {}
        self._received = 0
        self._end = -1

    def add(self, offset: int, body: bytes, *, more: bool) -> bool:
        """Keep a fragment; return whether all octets may be there."""
        if offset not in self._pieces:
            self._pieces[offset] = body
            self._received += len(body)
        if not more:
            self._end = offset + len(body)
        return 0 <= self._end <= self._received

    def whole(self) -> bytes | None:
        """Return the octets, or None where fragments overlap or leave a hole."""
        at = 0
        for offset in sorted(self._pieces):
            if offset != at:
                return None
            at += len(self._pieces[offset])
        return b"".join(self._pieces[o] for o in sorted(self._pieces)) if at == self._end else None


def _network_offset(link: int, frame: bytes) -> int:
    """Return where the IP header begins, -1 where the frame holds no IP."""
    if link in _RAW:
        return 0
    if link in _FAMILY:
        return 4
    if link == _ETHERNET:
        at, kind = 14, _u16(frame, 12)
    elif link == _COOKED:
        at, kind = 16, _u16(frame, 14)
    elif link == _COOKED2:
        at, kind = 20, _u16(frame, 0)
    else:
        return -1
    while kind in _VLAN_TAGS:
        at, kind = at + 4, _u16(frame, at + 2)
    return at if kind in _IP_TYPES else -1


def _u16(octets: bytes, at: int) -> int:
    return octets[at] << 8 | octets[at + 1]
