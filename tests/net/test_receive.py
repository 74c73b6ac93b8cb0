import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from clarion.net.receive import STRIDE, Receiver
from clarion.net.sockets import open_listener
from clarion.wire.batch import SLACK

pytestmark = pytest.mark.net

LOCAL4 = bytes(10) + b"\xff\xff" + bytes([127, 0, 0, 1])


@pytest.fixture
def listen():
    """Open listeners that are closed afterwards."""
    opened = []

    def open_one(host="127.0.0.1", receive_buffer=8 << 20):
        opened.append(open_listener(host, 0, receive_buffer=receive_buffer))
        return opened[-1]

    yield open_one
    for listener in opened:
        listener.close()


@pytest.fixture
def sender():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.bind(("127.0.0.1", 0))
        yield sock


def drain(receiver):
    """Every datagram that waits, as bytes."""
    found = []
    while (batch := receiver.receive(0)) is not None:
        found += [batch.datagram(i) for i in range(len(batch))]
    return found


def test_batch_has_octets_address_port_and_time(listen, sender):
    listener = listen()
    payloads = [bytes([i]) * (i * 7) for i in range(100)]
    before = time.time_ns() // 1_000_000
    for payload in payloads:
        sender.sendto(payload, ("127.0.0.1", listener.port))

    with Receiver([listener]) as receiver:
        batch = receiver.receive(5)

    assert batch is not None
    assert [batch.datagram(i) for i in range(len(batch))] == payloads
    assert {row.tobytes() for row in batch.address} == {LOCAL4}
    assert set(batch.port.tolist()) == {sender.getsockname()[1]}
    assert before <= batch.receive_ms[0] <= time.time_ns() // 1_000_000
    assert (batch.address.dtype, batch.port.dtype) == (np.uint8, np.uint16)
    assert (batch.start.dtype, batch.length.dtype) == (np.int64, np.int64)
    assert (receiver.datagrams, receiver.octets) == (100, sum(map(len, payloads)))


def test_longest_datagrams_are_read_whole(listen, sender):
    listener = listen()
    payloads = [bytes([i]) * 65_507 for i in range(20)]
    for payload in payloads:
        sender.sendto(payload, ("127.0.0.1", listener.port))

    with Receiver([listener], slots=16) as receiver:
        assert drain(receiver) == payloads
        assert receiver.truncated == 0


def test_slack_follows_the_last_slot():
    assert STRIDE >= 65_535 + SLACK
    receiver = Receiver([], slots=4)
    assert len(receiver._slab) >= int(receiver._start[-1]) + 65_535 + SLACK


def test_ipv6_and_mapped_senders(listen, sender):
    listener = listen("::")
    sender.sendto(b"four", ("127.0.0.1", listener.port))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six:
        six.sendto(b"six", ("::1", listener.port))

    with Receiver([listener]) as receiver:
        batch = receiver.receive(5)

    assert batch is not None
    found = {batch.datagram(i): batch.address[i].tobytes() for i in range(len(batch))}
    assert found == {b"four": LOCAL4, b"six": bytes(15) + b"\1"}


def test_address_is_whole_after_a_shorter_one(listen, sender):
    """The kernel shortens name_length; it must be reset before the slot is used again."""
    four, six = listen(), listen("::1")
    with (
        Receiver([four, six], slots=8) as receiver,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock6,
    ):
        for _ in range(5):
            sender.sendto(b"four", ("127.0.0.1", four.port))
            sock6.sendto(b"six", ("::1", six.port))
            batch = receiver.receive(5)
            assert batch is not None
            found = {batch.datagram(i): batch.address[i].tobytes() for i in range(len(batch))}
            assert found == {b"four": LOCAL4, b"six": bytes(15) + b"\1"}


def test_more_than_a_slab_comes_in_several_batches(listen, sender):
    listener = listen()
    payloads = [i.to_bytes(4, "big") for i in range(100)]
    for payload in payloads:
        sender.sendto(payload, ("127.0.0.1", listener.port))

    with Receiver([listener], slots=16) as receiver:
        assert drain(receiver) == payloads
        assert receiver.batches == 7


def test_a_busy_socket_does_not_starve_the_other(listen, sender):
    busy, quiet = listen(), listen()
    for i in range(200):
        sender.sendto(i.to_bytes(4, "big"), ("127.0.0.1", busy.port))
    sender.sendto(b"quiet", ("127.0.0.1", quiet.port))

    with Receiver([busy, quiet], slots=16) as receiver:
        batch = receiver.receive(0)
        assert batch is not None
        found = [batch.datagram(i) for i in range(len(batch))]
        assert b"quiet" in found
        rest = drain(receiver)

    assert len(found) + len(rest) == 201
    order = [p for p in found + rest if p != b"quiet"]
    assert order == [i.to_bytes(4, "big") for i in range(200)]


def test_cut_datagrams_are_counted_and_left_out(listen, sender):
    listener = listen()
    for payload in (b"short", bytes(500), b"also short"):
        sender.sendto(payload, ("127.0.0.1", listener.port))

    with Receiver([listener], slots=8, slot_octets=100) as receiver:
        assert drain(receiver) == [b"short", b"also short"]
        assert (receiver.datagrams, receiver.truncated) == (2, 1)


def test_only_cut_datagrams_give_no_batch(listen, sender):
    listener = listen()
    sender.sendto(bytes(500), ("127.0.0.1", listener.port))

    with Receiver([listener], slots=8, slot_octets=100) as receiver:
        assert receiver.receive(5) is None
        assert receiver.truncated == 1


def test_nothing_comes(listen):
    with Receiver([listen()]) as receiver:
        began = time.perf_counter()
        assert receiver.receive(0) is None
        assert receiver.receive(0.05) is None
        assert time.perf_counter() - began >= 0.045


def test_wake_ends_a_wait(listen):
    with Receiver([listen()]) as receiver:
        timer = threading.Timer(0.05, receiver.wake)
        timer.start()
        began = time.perf_counter()
        assert receiver.receive(30) is None
        assert time.perf_counter() - began < 10
        timer.join()
        assert receiver.receive(0.01) is None


def test_what_comes_a_little_later_is_gathered(listen, sender):
    listener = listen()
    with Receiver([listener], gather_s=0.04) as receiver:
        timer = threading.Timer(0.01, sender.sendto, (b"later", ("127.0.0.1", listener.port)))
        sender.sendto(b"first", ("127.0.0.1", listener.port))
        timer.start()
        batch = receiver.receive(5)
        timer.join()

    assert batch is not None
    assert len(batch) == 2


def test_window_grows_when_traffic_is_thin_and_shrinks_again(listen, sender):
    listener = listen()
    with Receiver([listener], gather_s=0.004) as receiver:
        sender.sendto(b"one", ("127.0.0.1", listener.port))
        receiver.receive(5)
        assert receiver._gather_s == pytest.approx(0.032)
        for _ in range(200):
            sender.sendto(b"many", ("127.0.0.1", listener.port))
        receiver.receive(0)
        assert receiver._gather_s < 0.032


def test_small_buffer_shortens_the_window(listen):
    """A burst at 400 MB/s of kernel memory must fit."""
    receiver = Receiver([listen(receive_buffer=106_496)])
    assert receiver._gather_s == receiver._longest_s == pytest.approx(212_992 / 400e6)


def test_idle_costs_no_cpu(listen):
    with Receiver([listen()]) as receiver:
        before = time.process_time()
        for _ in range(3):
            receiver.receive(0.1)
        assert time.process_time() - before < 0.02


def test_peak_fill_is_taken_once(listen, sender):
    listener = listen()
    sender.sendto(bytes(1000), ("127.0.0.1", listener.port))
    with Receiver([listener]) as receiver:
        assert receiver.receive(5) is not None
        assert receiver.take_peak_fill() > 1000
        assert receiver.take_peak_fill() == 0


def test_untouched_slots_take_no_memory():
    def resident():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    before = resident()
    receiver = Receiver([], slots=1024)
    assert receiver._slab.nbytes > 64 << 20
    assert resident() - before < 4 << 20
