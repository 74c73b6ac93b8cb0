"""
Receive datagrams in batches: poll, gather for a moment, one recvmmsg a socket.

A batch costs about the same however few datagrams it brings, so when traffic is thin the receiver
waits some milliseconds for more: CPU follows load. When a batch was full it goes on at once.
recvmmsg's own timeout may block for ever (recvmmsg(2), BUGS), hence poll and MSG_DONTWAIT.
"""

import contextlib
import os
import select
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import numpy as np

from clarion.errors import NetError
from clarion.net.mmsg import MSG_DONTWAIT, MSG_TRUNC, IoVec, MMsgHdr, recvmmsg
from clarion.net.sockets import Listener
from clarion.wire.batch import SLACK, V4_MAPPED_PREFIX, DatagramBatch
from clarion.wire.constants import MAX_DATAGRAM

# Octets from one slot to the next: any datagram whole, slack after the last, and one cache line
# more than 64 KiB, so that the headers of all slots do not fall into one cache set. Pages that no
# datagram reaches cost nothing.
STRIDE: Final = 65_600
# sockaddr_in6 is the longest address, 28 octets.
_NAME: Final = 32
# Traffic too thin to bring this many datagrams in the gather window gets a longer one, up to
# _LONGER times: 125 datagrams a second then cost 1.5 % of a core in place of 7 %.
_WORTH_A_BATCH: Final = 64
_LONGER: Final = 8
# The gather window may not let a burst of this many octets of kernel memory a second (about
# 170,000 full datagrams) overrun the socket's buffer.
_BURST_OCTETS_S: Final = 400e6


class Receiver:
    """
    A preallocated slab that the datagrams of one or more sockets are received into.

    Args:
        listeners: bound sockets; they stay the caller's to close.
        slots: datagrams a batch holds.
        slot_octets: octets kept of a datagram; longer ones are cut, counted and left out.
        gather_s: seconds to wait for more when the last batch was not full; longer when traffic
            is thin, shorter when the sockets' buffers are small.

    One thread receives; `wake` may be called by any. The batch is valid until the next `receive`.

    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        *,
        slots: int = 1024,
        slot_octets: int = MAX_DATAGRAM,
        gather_s: float = 0.004,
    ) -> None:
        self.listeners = tuple(listeners)
        self.slots = slots
        # Monotonic counters: datagrams handed out, their octets, cut ones, calls with datagrams.
        self.datagrams = self.octets = self.truncated = self.batches = 0
        # Highest octets seen in a socket's buffer since `take_peak_fill`.
        self._peak_fill = 0
        smallest = min((listener.buffer.granted * 2 for listener in listeners), default=0)
        self._longest_s = min(gather_s * _LONGER, smallest / _BURST_OCTETS_S)
        self._shortest_s = min(gather_s, self._longest_s)
        # The window to come, and when the sockets were last read, monotonic seconds.
        self._gather_s = self._shortest_s
        self._last_read = 0.0
        self._full = False
        self._turn = 0

        stride = min(STRIDE, -(-(slot_octets + SLACK) // 64) * 64)
        self._slab = np.zeros(slots * stride + SLACK, np.uint8)
        self._start = np.arange(slots, dtype=np.int64) * stride
        self._start.flags.writeable = False
        self._names = np.zeros((slots, _NAME), np.uint8)
        self._vectors = np.zeros(slots, np.dtype(IoVec))
        self._vectors["base"] = self._slab.ctypes.data + self._start
        self._vectors["length"] = slot_octets
        self._messages = np.zeros(slots, np.dtype(MMsgHdr))
        header = self._messages["header"]
        header["name"] = self._names.ctypes.data + np.arange(slots) * _NAME
        header["iov"] = self._vectors.ctypes.data + np.arange(slots) * self._vectors.itemsize
        header["iov_length"] = 1
        self._name_length, self._flags = header["name_length"], header["flags"]
        self._length = self._messages["length"]
        self._messages_at = self._messages.ctypes.data

        self._poll = select.poll()
        self._wake_read = self._wake_write = -1

    def __enter__(self) -> Self:
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._wake_read, select.POLLIN)
        for listener in self.listeners:
            self._poll.register(listener.fileno(), select.POLLIN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        err: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._wake_read = self._wake_write = -1

    @property
    def wake_descriptor(self) -> int:
        """Where one octet written ends a wait; fit for signal.set_wakeup_fd."""
        return self._wake_write

    def wake(self) -> None:
        """End the wait of a `receive` in another thread."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"\0")

    def take_peak_fill(self) -> int:
        """Return the most octets seen waiting in one socket since the last call."""
        peak, self._peak_fill = self._peak_fill, 0
        return peak

    def receive(self, wait_s: float) -> DatagramBatch | None:
        """
        Wait up to `wait_s` seconds for datagrams; return those that came, or None.

        With 0 it neither waits nor gathers: None says that the sockets are empty.
        Raises NetError when a socket fails.
        """
        if wait_s > 0 and not self._full:
            if not self._wait(wait_s):
                return None
            if self._gather_s:
                time.sleep(self._gather_s)
        return self._read()

    def _wait(self, wait_s: float) -> bool:
        """Whether a socket became readable; False on time-out and when woken."""
        ready = self._poll.poll(wait_s * 1000)
        if any(descriptor == self._wake_read for descriptor, _ in ready):
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
            return False
        return bool(ready)

    def _read(self) -> DatagramBatch | None:
        """Read every socket once, each into the slots after the one before."""
        self._name_length[:] = _NAME
        count = len(self.listeners)
        # Sockets take turns at being first, and none may take all slots.
        order = self.listeners[self._turn :] + self.listeners[: self._turn]
        self._turn = (self._turn + 1) % count
        used, self._full = 0, False
        parts: list[tuple[int, int, bool]] = []
        now = time.monotonic()
        since, self._last_read = now - self._last_read, now
        for waiting, listener in zip(range(count, 0, -1), order, strict=True):
            self._peak_fill = max(self._peak_fill, listener.gauge().fill)
            share = (self.slots - used) // waiting
            try:
                got = recvmmsg(
                    listener.fileno(),
                    self._messages_at + used * self._messages.itemsize,
                    share,
                    MSG_DONTWAIT,
                )
            except BlockingIOError:
                continue
            except OSError as err:
                raise NetError(f"cannot receive on {listener.url}: {err.strerror}") from err
            self._full |= got == share
            parts.append((used, used + got, listener.ipv6))
            used += got
        if not used:
            return None
        window = _WORTH_A_BATCH * since / used
        self._gather_s = min(max(window, self._shortest_s), self._longest_s)
        return self._batch(parts, used)

    def _batch(self, parts: list[tuple[int, int, bool]], used: int) -> DatagramBatch | None:
        """Describe slots [0, used) as a batch; `parts` are (first, end, ipv6) of each socket."""
        now_ms = time.time_ns() // 1_000_000
        address = np.empty((used, 16), np.uint8)
        for first, end, ipv6 in parts:
            if ipv6:  # struct sockaddr_in6: family, port, flow info, address at 8
                address[first:end] = self._names[first:end, 8:24]
            else:  # struct sockaddr_in: family, port, address at 4
                address[first:end, :12] = np.frombuffer(V4_MAPPED_PREFIX, np.uint8)
                address[first:end, 12:] = self._names[first:end, 4:8]
        start = self._start[:used]
        length = self._length[:used].astype(np.int64)
        port = self._names[:used, 2:4].copy().view(">u2")[:, 0].astype(np.uint16)
        cut = (self._flags[:used] & MSG_TRUNC) != 0
        self.batches += 1
        if cut.any():
            keep = ~cut
            self.truncated += int(cut.sum())
            start, length, address, port = start[keep], length[keep], address[keep], port[keep]
            if not len(start):
                return None
        self.datagrams += len(start)
        self.octets += int(length.sum())
        return DatagramBatch(
            octets=self._slab,
            start=start,
            length=length,
            address=address,
            port=port,
            receive_ms=np.full(len(start), now_ms, np.int64),
        )
