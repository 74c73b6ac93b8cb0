"""
Capture files: classic pcap (microseconds, nanoseconds, either byte order) and pcapng, plain or
gzip, as batches of the UDP datagrams in them.

A file that is no capture raises CaptureError. One that ends or breaks in the middle gives what
came before, and `CaptureReader.note` says where it broke.

Source: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
"""

import gzip
import struct
import zlib
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Final, NamedTuple, Self

import numpy as np

from clarion.errors import CaptureError, UsageError
from clarion.net.frames import LINK_TYPES, Datagram, FrameReader, FrameStats
from clarion.wire.batch import SLACK, DatagramBatch

_GZIP_MAGIC: Final = b"\x1f\x8b"
_PCAPNG_MAGIC: Final = b"\x0a\x0d\x0d\x0a"
# First four octets -> byte order, ticks a second.
_PCAP_MAGIC: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
}
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_TSRESOL, _TSOFFSET = 9, 14
# A packet or block longer than this is a broken length, not a packet.
_LENGTH_MAX: Final = 16 << 20
_TIME_MAX: Final = 1 << 62


class _Frame(NamedTuple):
    link: int
    octets: bytes
    receive_ms: int


class _Interface(NamedTuple):
    link: int
    snap: int
    ticks: int  # a second
    offset_ms: int

    def ms(self, ticks: int) -> int:
        at = ticks * 1000 // self.ticks + self.offset_ms
        return max(-_TIME_MAX, min(_TIME_MAX, at))


class CaptureReader:
    """
    Read a capture file's UDP datagrams, in file order.

        with CaptureReader(path) as capture:
            for batch in capture.batches():
                ...

    Args:
        path: the file.
        ports: UDP destination ports wanted; empty for all.

    Attributes:
        stats: what became of the frames so far; final when the iterator has ended.
        note: "" or one line on where and how the file broke off.

    """

    def __init__(self, path: Path, *, ports: Collection[int] = ()) -> None:
        self.path = path
        self.note = ""
        self._frames = FrameReader(frozenset(ports))
        self._stack = ExitStack()
        self._file: IO[bytes] | gzip.GzipFile | None = None
        self._read = 0

    @property
    def stats(self) -> FrameStats:
        """Counts of frames and datagrams."""
        return self._frames.stats

    def __enter__(self) -> Self:
        try:
            plain = self._stack.enter_context(self.path.open("rb"))
            self._file = plain
            if plain.peek(2)[:2] == _GZIP_MAGIC:
                self._file = self._stack.enter_context(gzip.open(plain))
        except (FileNotFoundError, IsADirectoryError) as err:
            raise UsageError(f"capture {str(self.path)!r}: {_why(err)}; give a pcap file") from err
        except OSError as err:
            raise CaptureError(f"capture {str(self.path)!r}: cannot open: {_why(err)}") from err
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        err: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def batches(self, size: int = 1024) -> Iterator[DatagramBatch]:
        """Yield batches of up to `size` datagrams; their arrays are the caller's to keep."""
        held: list[Datagram] = []
        for datagram in self.datagrams():
            held.append(datagram)
            if len(held) == size:
                yield _batch(held)
                held = []
        if held:
            yield _batch(held)

    def datagrams(self) -> Iterator[Datagram]:
        """
        Yield one datagram after another.

        Raises:
            CaptureError: the file is empty, no capture, or of a link type that is not known.

        """
        for frame in self._all_frames():
            datagram = self._frames.datagram(*frame)
            if datagram is not None:
                yield datagram
        self._frames.close()

    def _all_frames(self) -> Iterator[_Frame]:
        magic = self._take(4)
        if not magic:
            raise self._wrong(self.note or "empty file", "is the capture finished?")
        if magic == _PCAPNG_MAGIC:
            return self._pcapng()
        if magic in _PCAP_MAGIC:
            return self._pcap(*_PCAP_MAGIC[magic])
        raise self._wrong(
            f"begins with 0x{magic.hex()}, which is neither pcap nor pcapng",
            "was it written with tcpdump -w?",
        )

    def _pcap(self, order: str, ticks: int) -> Iterator[_Frame]:
        """Yield the frames of a classic file, behind its magic."""
        rest = self._take(20)
        if len(rest) < 20:
            raise self._wrong(f"ends in its header, after {4 + len(rest)} of 24 octets")
        # The upper bits of the last word tell of a frame check sequence, which is ignored.
        link = int(struct.unpack(order + "I", rest[16:])[0]) & 0xFFFF
        if link not in LINK_TYPES:
            raise self._wrong(
                f"link type {link} is not one of {', '.join(map(str, sorted(LINK_TYPES)))}",
                "capture on an Ethernet, raw IP, Linux cooked or loopback device",
            )
        interface = _Interface(link, 0, ticks, 0)
        header = struct.Struct(order + "4I")
        while octets := self._take(16):
            if len(octets) < 16:
                self._broke("packet header")
                return
            seconds, fraction, length, _ = header.unpack(octets)
            frame = self._whole(length, "packet")
            if frame is None:
                return
            yield _Frame(link, frame, interface.ms(seconds * ticks + fraction))

    def _pcapng(self) -> Iterator[_Frame]:
        """Yield the frames of a pcapng file, behind the first block's type."""
        order = ""
        interfaces: list[_Interface] = []
        now = 0
        head = _PCAPNG_MAGIC + self._take(4)
        while head:
            if head[:4] == _PCAPNG_MAGIC:  # its length cannot be read before its byte order
                mark = self._take(4)
                order = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}.get(mark, "")
                interfaces = []
                if not order and not self.stats.frames:
                    raise self._wrong("its section header is broken", "was it copied whole?")
                if not order:
                    self._broke("section header")
                    return
                head += mark
            if len(head) < 8:
                self._broke("block header")
                return
            kind, length = struct.unpack(order + "II", head[:8])
            rest = self._whole(length - len(head), "block") if length >= 12 else None
            if rest is None:
                self._broke("block")
                return
            body = rest[:-4]  # the length stands there once more
            if kind == _INTERFACE and len(body) >= 8:
                interfaces.append(_interface(order, body))
            elif kind in (_ENHANCED, _OLD_PACKET) and len(body) >= 20:
                if kind == _ENHANCED:
                    which, high, low, kept = struct.unpack(order + "4I", body[:16])
                else:
                    which, _, high, low, kept = struct.unpack(order + "2H3I", body[:16])
                if which < len(interfaces):
                    now = interfaces[which].ms(high << 32 | low)
                    yield _Frame(interfaces[which].link, body[20 : 20 + kept], now)
            elif kind == _SIMPLE and len(body) >= 4 and interfaces:
                size = struct.unpack(order + "I", body[:4])[0]
                kept = min(size, interfaces[0].snap or size)
                yield _Frame(interfaces[0].link, body[4 : 4 + kept], now)
            head = self._take(8)

    def _take(self, n: int) -> bytes:
        """Read n octets, fewer at the end of the file or of what can be read of it."""
        if self._file is None:
            raise RuntimeError("CaptureReader is used outside its `with`")
        try:
            octets = self._file.read(n)
        except (OSError, EOFError, zlib.error) as err:
            self.note = f"cannot be read past octet {self._read}: {_why(err)}"
            return b""
        self._read += len(octets)
        return octets

    def _whole(self, n: int, what: str) -> bytes | None:
        """Read n octets, or note where the file broke and return None."""
        octets = self._take(n) if 0 <= n <= _LENGTH_MAX else b""
        if len(octets) == n:
            return octets
        self._broke(what)
        return None

    def _broke(self, what: str) -> None:
        self.note = self.note or (
            f"ends inside a {what}, at octet {self._read}; {self.stats.frames} frames came before"
        )

    def _wrong(self, found: str, remedy: str = "") -> CaptureError:
        tail = f"; {remedy}" if remedy else ""
        return CaptureError(f"capture {str(self.path)!r}: {found}{tail}")


def _interface(order: str, body: bytes) -> _Interface:
    """Read an Interface Description Block: link type, snap length, if_tsresol, if_tsoffset."""
    link, _, snap = struct.unpack(order + "HHI", body[:8])
    ticks, offset_s = 1_000_000, 0
    at = 8
    while at + 4 <= len(body):
        code, length = struct.unpack(order + "HH", body[at : at + 4])
        value = body[at + 4 : at + 4 + length]
        if code == _TSRESOL and len(value) == 1:
            power = value[0] & 0x7F
            ticks = 1 << power if value[0] & 0x80 else 10**power
        elif code == _TSOFFSET and len(value) == 8:
            offset_s = struct.unpack(order + "q", value)[0]
        at += 4 + (length + 3) // 4 * 4
    return _Interface(link, snap, ticks, offset_s * 1000)


def _batch(held: list[Datagram]) -> DatagramBatch:
    n = len(held)
    length = np.fromiter((len(d.payload) for d in held), np.int64, n)
    return DatagramBatch(
        octets=np.frombuffer(b"".join(d.payload for d in held) + bytes(SLACK), np.uint8),
        start=np.cumsum(length) - length,
        length=length,
        address=np.frombuffer(b"".join(d.address for d in held), np.uint8).reshape(n, 16),
        port=np.fromiter((d.port for d in held), np.uint16, n),
        receive_ms=np.fromiter((d.receive_ms for d in held), np.int64, n),
    )


def _why(err: Exception) -> str:
    text = err.strerror if isinstance(err, OSError) else None
    return (text or str(err) or type(err).__name__).lower()
