"""
What a pause of a collector costs: how full it may run, and how much its socket must hold.

Rule: pure functions. A pause is any time nobody reads the socket: a flush, a page fault, another
process on the core, a moved virtual machine. Pauses and bursts cause the loss, not queueing at
random: with thousands of places in the buffer that is negligible below 95 % utilisation.
"""

import math

# A pause to survive and the time to be level again after it; floors, unless measured.
STALL_S = 0.25
DRAIN_S = 1.0

# What the kernel charges a socket for one datagram of 1,000 to 1,464 octets, its truesize.
# Measured on Linux 6.18, loopback; 200-500 octets: 1,280; 72 octets: 832.
TRUESIZE_OCTETS = 2304

# The kernel's usual net.core.rmem_default, less than which no socket has.
RCVBUF_DEFAULT_OCTETS = 212_992


def utilisation_cap(stall_s: float, drain_s: float) -> float:
    """
    The highest utilisation from which a collector is level again `drain_s` after a pause.

    A pause of S seconds at utilisation rho leaves rho S of work, drained at 1 - rho, so
    D = rho S / (1 - rho), and

        rho_max = D / (S + D)

    Args:
        stall_s: S, seconds.
        drain_s: D, seconds, above 0.

    S 0.25 and D 1 give 0.80; S 1 and D 2 give 0.67.
    """
    return drain_s / (stall_s + drain_s)


def receive_buffer(load_fps: float, stall_s: float, records_per_datagram: float) -> float:
    """
    Octets a socket is charged for what arrives during one pause.

        octets = l x S / r x truesize

    Args:
        load_fps: l, records per second at the busiest instance (its share of the load).
        stall_s: S, seconds.
        records_per_datagram: r, above 0.

    1,000 fps, 0.25 s and 24 records: 10.4 datagrams, 24,000 octets. 1 M fps: 24.0 MB.
    """
    return load_fps * stall_s / records_per_datagram * TRUESIZE_OCTETS


def buffer_setting(octets: float) -> int:
    """
    The buffer to ask for: the next power of two, and not below the kernel's usual default.

    `SO_RCVBUF` is doubled by the kernel to cover its own overhead; the charge above includes
    that overhead, so asking for the whole of it leaves a factor of two in hand (socket(7)).

    24,000 octets give 212,992; 24.0 MB give 33,554,432 (32 MiB).
    """
    if octets <= RCVBUF_DEFAULT_OCTETS:
        return RCVBUF_DEFAULT_OCTETS
    return 1 << math.ceil(math.log2(octets))
