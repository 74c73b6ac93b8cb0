"""
Sending datagrams from many source addresses with one socket.

One sendmmsg carries up to 1,024 messages; each names its source address in an IP_PKTINFO (or
IPV6_PKTINFO) control message, so that a thousand exporters need no thousand sockets. With
`gso`, neighbouring datagrams of one source and length go as one message that the kernel cuts up
(UDP_SEGMENT). `load` describes a batch to the kernel once, vectorised; `send` then sends any part
of it. Nothing is dropped here: what the kernel does not take stays unsent, and the caller is told.
"""

import errno
import socket
import struct
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from clarion.errors import NetError
from clarion.net.mmsg import UDP_SEGMENT, IoVec, MMsgHdr, sendmmsg

MAX_MESSAGES: Final = 1024  # UIO_MAXIOV: sendmmsg takes no more at once
MAX_SEGMENTS: Final = 64  # UDP_MAX_SEGMENTS
MAX_PAYLOAD: Final = 65507  # of a UDP datagram over IPv4

_IP_PKTINFO: Final = 8
_PATIENCE_S: Final = 0.1  # how long one send may wait for room in the send buffer
# The kernel is short of memory or queue for a moment: worth another try.
_PASSING: Final = frozenset({errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EINTR})

Int64s = NDArray[np.int64]


@dataclass(slots=True)
class Sender:
    """
    An unconnected UDP socket that sends batches to one target; a context manager.

    Unconnected, so that a port nobody listens on does not answer with ECONNREFUSED.

    Attributes:
        host: address or name of the target.
        port: UDP port of the target.
        sources: (K, 4) or (K, 16) uint8, the source addresses that `load` refers to by row; None
            leaves the choice to the kernel.
        gso: join equal neighbours by UDP_SEGMENT.
        send_buffer: octets to ask for.
        retries: times the kernel had no room and was asked again.

    """

    host: str
    port: int
    sources: NDArray[np.uint8] | None = None
    gso: bool = False
    send_buffer: int = 4 << 20
    retries: int = 0
    _socket: socket.socket | None = field(default=None, repr=False)
    _name: NDArray[np.uint8] = field(init=False, repr=False)
    _control: NDArray[np.uint8] = field(init=False, repr=False)
    _source_at: int = field(default=0, init=False, repr=False)
    _segment_at: int = field(default=0, init=False, repr=False)
    _messages: NDArray[np.void] = field(init=False, repr=False)
    _vectors: NDArray[np.void] = field(init=False, repr=False)
    _octets: NDArray[np.uint8] = field(init=False, repr=False)

    def __enter__(self) -> Self:
        """Open the socket; raises NetError where the target or a source cannot be used."""
        family, address = resolve(self.host, self.port)
        self._socket = sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer)
            whole, part = divmod(_PATIENCE_S, 1)
            timeout = struct.pack("@ll", int(whole), int(part * 1e6))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        except OSError as err:
            sock.close()
            raise NetError(f"cannot send to {self._url}: {_reason(err)}") from err
        self._name = np.frombuffer(_socket_address(family, address), np.uint8).copy()
        template = self._control_template(family)
        self._control = np.tile(np.frombuffer(template, np.uint8), (MAX_MESSAGES, 1))
        self._vectors = np.zeros(MAX_MESSAGES, np.dtype(IoVec))
        self._messages = np.zeros(MAX_MESSAGES, np.dtype(MMsgHdr))
        rows = np.arange(MAX_MESSAGES, dtype=np.uint64)
        header: Any = self._messages["header"]
        header["name"] = self._name.ctypes.data
        header["name_length"] = len(self._name)
        header["iov"] = self._vectors.ctypes.data + rows * np.uint64(self._vectors.itemsize)
        header["iov_length"] = 1
        if template:
            header["control"] = self._control.ctypes.data + rows * np.uint64(len(template))
            header["control_length"] = len(template)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def load(
        self, octets: NDArray[np.uint8], start: Int64s, length: Int64s, source: Int64s
    ) -> Int64s:
        """
        Take a batch of D datagrams to send, in order.

        Args:
            octets: (B,) uint8, contiguous; kept, and read by `send`.
            start: (D,) octet offsets of the datagrams in `octets`.
            length: (D,) octets of each.
            source: (D,) rows of `sources`.

        Returns:
            (M,) int64: how many datagrams have gone when message m has; M <= D <= MAX_MESSAGES.

        """
        if len(start) > MAX_MESSAGES:
            raise ValueError(f"{len(start)} datagrams in a batch, at most {MAX_MESSAGES}")
        first = self._joined(start, length, source) if self.gso else np.arange(len(start))
        end = np.append(first[1:], len(start))
        m = len(first)
        self._octets = octets
        self._vectors["base"][:m] = octets.ctypes.data + start[first]
        self._vectors["length"][:m] = start[end - 1] + length[end - 1] - start[first]
        if self.sources is not None:
            at, width = self._source_at, self.sources.shape[1]
            self._control[:m, at : at + width] = self.sources[source[first]]
        if self.gso:
            at = self._segment_at
            segments = length[first].astype(np.uint16).view(np.uint8).reshape(-1, 2)
            self._control[:m, at : at + 2] = segments
        return end

    def send(self, first: int, last: int) -> int:
        """
        Send messages [first, last) of the loaded batch.

        Returns how many went: fewer where the kernel had no room for a while, or refused one
        after the first. Raises NetError where it refuses the first.
        """
        if self._socket is None:
            raise ValueError("sender is not open")
        base, size = self._messages.ctypes.data, self._messages.itemsize
        at, idle_since = first, None
        while at < last:
            try:
                at += sendmmsg(self._socket.fileno(), base + at * size, last - at)
                idle_since = None
            except OSError as err:
                if err.errno not in _PASSING:
                    if at > first:
                        break  # what went is told; the next call meets the error again
                    raise NetError(f"cannot send to {self._url}: {_reason(err)}") from err
                self.retries += 1
                now = time.monotonic()
                idle_since = idle_since or now
                if now - idle_since >= _PATIENCE_S:
                    break
                time.sleep(0.0005)
        return at - first

    @property
    def _url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"udp://{host}:{self.port}"

    def _joined(self, start: Int64s, length: Int64s, source: Int64s) -> Int64s:
        """Return the first datagram of each message: neighbours of one source and length."""
        n = len(start)
        new = np.ones(n, bool)
        new[1:] = (
            (source[1:] != source[:-1])
            | (length[1:] != length[:-1])
            | (start[1:] != start[:-1] + length[:-1])
        )
        runs = np.flatnonzero(new)
        ordinal = np.arange(n) - np.repeat(runs, np.diff(runs, append=n))
        most = np.minimum(MAX_SEGMENTS, MAX_PAYLOAD // length)
        return np.flatnonzero(ordinal % most == 0)

    def _control_template(self, family: int) -> bytes:
        """Return one message's control data with zeros for source address and segment size."""
        control = b""
        if self.sources is not None:
            if family == socket.AF_INET:
                # struct in_pktinfo: interface, address to send from, (unused) destination
                self._source_at = len(control) + 16 + 4
                control += _control_message(socket.IPPROTO_IP, _IP_PKTINFO, bytes(12))
            else:
                # struct in6_pktinfo: address, interface. RFC 3542 6.2
                self._source_at = len(control) + 16
                control += _control_message(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, bytes(20))
        if self.gso:
            self._segment_at = len(control) + 16
            control += _control_message(socket.IPPROTO_UDP, UDP_SEGMENT, bytes(2))
        return control


def resolve(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    """Return family and socket address of a target; raises NetError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as err:
        raise NetError(f"target {host!r}: unknown host; give an address or a name") from err
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, _, _, _, address = found[0]
    return family, address


def own_address(host: str, port: int) -> str:
    """Return the address this host sends from to reach a target, as text; raises NetError."""
    family, address = resolve(host, port)
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(address)
        except OSError as err:
            raise NetError(f"no way to {host}: {_reason(err)}") from err
        text: str = sock.getsockname()[0]
        return text


def _socket_address(family: int, address: tuple[Any, ...]) -> bytes:
    """Return struct sockaddr_in or sockaddr_in6."""
    host, port = address[:2]
    packed = socket.inet_pton(family, host.partition("%")[0])
    head = struct.pack("=H", family) + struct.pack("!H", port)
    if family == socket.AF_INET:
        return head + packed + bytes(8)
    return head + struct.pack("!I", address[2]) + packed + struct.pack("=I", address[3])


def _control_message(level: int, kind: int, data: bytes) -> bytes:
    """Return struct cmsghdr and data, padded as CMSG_SPACE does on 64-bit Linux."""
    return struct.pack("@Nii", 16 + len(data), level, kind) + data + bytes(-len(data) % 8)


def _reason(err: OSError) -> str:
    match err.errno:
        case errno.EACCES | errno.EPERM:
            return "no permission; a broadcast address, or a firewall rule?"
        case errno.ENETUNREACH | errno.EHOSTUNREACH:
            return "no route; try ip route get"
        case errno.EMSGSIZE:
            return "datagram too large; lower --records-per-datagram"
        case errno.EINVAL:
            return "refused (EINVAL); --gso datagrams must fit the interface's MTU"
        case errno.EADDRNOTAVAIL:
            return "source address is not one of this host; leave it to the kernel"
        case _:
            return (err.strerror or str(err)).lower()
