"""
The C structures and calls of recvmmsg(2) and sendmmsg(2), and the socket options Python lacks.

The only module that imports ctypes.
"""

import ctypes
import os
from typing import Final

SO_RCVBUFFORCE: Final = 33
SO_MEMINFO: Final = 55  # nine uint32: index 0 is rmem_alloc, 1 rcvbuf, 8 drops
UDP_SEGMENT: Final = 103
MSG_DONTWAIT: Final = 0x40
MSG_TRUNC: Final = 0x20


class IoVec(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class MsgHdr(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class MMsgHdr(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", MsgHdr), ("length", ctypes.c_uint32))


_libc = ctypes.CDLL(None, use_errno=True)
_recvmmsg = _libc.recvmmsg
_recvmmsg.argtypes = (
    ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p,
)  # fmt: skip
_recvmmsg.restype = ctypes.c_int
_sendmmsg = _libc.sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_sendmmsg.restype = ctypes.c_int


def recvmmsg(descriptor: int, messages: int, count: int, flags: int) -> int:
    """
    Receive up to `count` datagrams into the mmsghdr array at address `messages`.

    Returns how many came; raises OSError (BlockingIOError when none waits).
    """
    got: int = _recvmmsg(descriptor, messages, count, flags, None)
    if got < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return got


def sendmmsg(descriptor: int, messages: int, count: int, flags: int = 0) -> int:
    """
    Send up to `count` datagrams from the mmsghdr array at address `messages`.

    Returns how many went; raises OSError when not even the first did.
    """
    sent: int = _sendmmsg(descriptor, messages, count, flags)
    if sent < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return sent
