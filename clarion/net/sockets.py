"""
UDP sockets to receive on: opening, the receive buffer that was granted, and the drop gauge.

Opening is apart from receiving so that one process may open every socket and hand them on.
"""

import contextlib
import errno
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from clarion.errors import NetError
from clarion.net.mmsg import SO_MEMINFO, SO_RCVBUFFORCE

_MEMINFO: Final = struct.Struct("=9I")
_RMEM_ALLOC, _RCVBUF, _DROPS = 0, 1, 8
_U32: Final = 1 << 32


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiveBuffer:
    """
    What was asked for and what the kernel gave, in octets of SO_RCVBUF.

    The kernel keeps twice the value for its own bookkeeping: a socket's gauge shows that double.
    """

    requested: int
    granted: int

    @property
    def capped(self) -> bool:
        """Whether net.core.rmem_max cut the request."""
        return self.granted < self.requested

    @property
    def remedy(self) -> str:
        """The command that lets the request through."""
        return f"sysctl -w net.core.rmem_max={self.requested}"


class Gauge(NamedTuple):
    """
    A socket's state in the kernel, from SO_MEMINFO.

    `dropped` counts datagrams since the socket was opened (the kernel's u32, unwrapped); `fill`
    and `capacity` are octets of kernel memory, with its overhead of about 900 octets a datagram.
    """

    dropped: int
    fill: int
    capacity: int


@dataclass(kw_only=True, slots=True)
class Listener:
    """
    One bound UDP socket.

    Attributes:
        socket: the socket; non-blocking.
        host: address it is bound to, as text.
        port: the real port, also where 0 was asked for.
        buffer: the receive buffer, asked and granted.

    """

    socket: socket.socket
    host: str
    port: int
    buffer: ReceiveBuffer
    _dropped: int = field(default=0, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def url(self) -> str:
        """The address as in messages: udp://host:port."""
        return _url(self.host, self.port)

    @property
    def ipv6(self) -> bool:
        """Whether senders' addresses come as sockaddr_in6."""
        return self.socket.family == socket.AF_INET6

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.socket.fileno()

    def gauge(self) -> Gauge:
        """Read drops and fill with one getsockopt; any thread may, while the socket is open."""
        with self._lock:
            octets = self.socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size)
            words = _MEMINFO.unpack(octets)
            self._dropped = unwrap(self._dropped, words[_DROPS])
            return Gauge(self._dropped, words[_RMEM_ALLOC], words[_RCVBUF])

    def close(self) -> None:
        """Close the socket; once more does nothing."""
        self.socket.close()


def unwrap(total: int, counter: int) -> int:
    """Return the total after a u32 counter, last seen at `total` modulo 2**32, shows `counter`."""
    return total + (counter - total) % _U32


def open_listener(host: str, port: int, *, receive_buffer: int) -> Listener:
    """
    Open and bind a UDP socket with SO_REUSEPORT.

    Args:
        host: address or name; `::` takes IPv4 too, whose senders come as ::ffff:a.b.c.d.
        port: 0 picks a free one.
        receive_buffer: octets to ask for; SO_RCVBUFFORCE (CAP_NET_ADMIN) is tried first.

    Raises NetError, one line with the remedy.
    """
    family, address = _resolve(host, port)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        granted = _set_receive_buffer(sock, receive_buffer)
        sock.bind(address)
        sock.setblocking(False)
    except OSError as err:
        sock.close()
        raise NetError(f"cannot bind {_url(host, port)}: {_reason(err)}") from err
    name = sock.getsockname()
    return Listener(
        socket=sock,
        host=name[0],
        port=name[1],
        buffer=ReceiveBuffer(requested=receive_buffer, granted=granted),
    )


def _resolve(host: str, port: int) -> tuple[int, tuple[str, int] | tuple[str, int, int, int]]:
    """Return family and socket address; of a name with both families, the IPv4 one."""
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_DGRAM, proto=socket.IPPROTO_UDP, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as err:
        reason = err.strerror if isinstance(err, OSError) and err.strerror else "not a host name"
        raise NetError(
            f"cannot bind {_url(host, port)}: {reason.lower()}; give an address of this host, "
            "0.0.0.0 or ::"
        ) from err
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, _, _, _, address = found[0]
    return family, address  # type: ignore[return-value]  # AF_INET and AF_INET6 only, by UDP


def _set_receive_buffer(sock: socket.socket, octets: int) -> int:
    """Ask for a receive buffer; return the octets granted, in the unit of the request."""
    with contextlib.suppress(PermissionError):
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, octets)
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def _reason(err: OSError) -> str:
    match err.errno:
        case errno.EADDRINUSE:
            return "address in use; another collector? try ss -ulpn"
        case errno.EACCES | errno.EPERM:
            return "no permission; ports below 1024 need CAP_NET_BIND_SERVICE, or take a higher one"
        case errno.EADDRNOTAVAIL:
            return "not an address of this host; try ip addr, 0.0.0.0 or ::"
        case errno.EAFNOSUPPORT:
            return "this host has no such address family; try 0.0.0.0"
        case _:
            return (err.strerror or str(err)).lower()


def _url(host: str, port: int) -> str:
    return f"udp://[{host}]:{port}" if ":" in host else f"udp://{host}:{port}"
