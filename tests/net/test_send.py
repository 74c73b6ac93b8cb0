import socket
from contextlib import closing

import numpy as np
import pytest

from clarion.errors import NetError
from clarion.net.send import Sender, own_address, resolve

pytestmark = pytest.mark.net


def listener(family=socket.AF_INET, host="127.0.0.1"):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((host, 0))
    sock.settimeout(2)
    return closing(sock)


def batch(payloads):
    octets = np.frombuffer(b"".join(payloads), np.uint8)
    length = np.array([len(p) for p in payloads], np.int64)
    return octets, np.cumsum(length) - length, length


@pytest.mark.parametrize("gso", [False, True])
def test_datagrams_come_in_order_from_their_sources(gso):
    payloads = [bytes([i]) * (100 if i < 7 else 60) for i in range(10)]
    source = np.array([0, 0, 0, 1, 1, 2, 2, 2, 0, 0])
    sources = np.array([[127, 3, 0, 1], [127, 3, 0, 2], [127, 3, 4, 5]], np.uint8)
    with listener() as sock, Sender(*sock.getsockname(), sources=sources, gso=gso) as sender:
        ends = sender.load(*batch(payloads), source)
        went = sender.send(0, len(ends))
        got = [sock.recvfrom(2048) for _ in payloads]

    assert went == len(ends)
    assert [octets for octets, _ in got] == payloads
    addresses = ["127.3.0.1", "127.3.0.2", "127.3.4.5"]
    assert [address[0] for _, address in got] == [addresses[s] for s in source]


def test_gso_joins_neighbours_of_one_source_and_length():
    sources = np.array([[127, 3, 0, 1], [127, 3, 0, 2]], np.uint8)
    payloads = [bytes(50)] * 70 + [bytes(40)] * 2 + [bytes(40)]
    source = np.array([0] * 72 + [1])
    with listener() as sock, Sender(*sock.getsockname(), sources=sources, gso=True) as sender:
        ends = sender.load(*batch(payloads), source)

    assert ends.tolist() == [64, 70, 72, 73]  # 64 segments at most


def test_gso_messages_fit_a_datagram():
    payloads = [bytes(1400)] * 50
    with listener() as sock, Sender(*sock.getsockname(), gso=True) as sender:
        ends = sender.load(*batch(payloads), np.zeros(50, np.int64))
        sender.send(0, len(ends))
        got = [sock.recv(2048) for _ in payloads]

    assert ends.tolist() == [46, 50]  # 46 x 1400 <= 65507
    assert got == payloads


def test_part_of_a_batch():
    payloads = [bytes([i]) for i in range(5)]
    with listener() as sock, Sender(*sock.getsockname()) as sender:
        sender.load(*batch(payloads), np.zeros(5, np.int64))
        first = sender.send(0, 2)
        rest = sender.send(2, 5)
        got = [sock.recv(100) for _ in payloads]

    assert (first, rest) == (2, 3)
    assert got == payloads


def test_ipv6():
    with listener(socket.AF_INET6, "::1") as sock:
        loopback = np.frombuffer(socket.inet_pton(socket.AF_INET6, "::1"), np.uint8)
        port = sock.getsockname()[1]
        with Sender("::1", port, sources=loopback.reshape(1, 16)) as sender:
            sender.load(*batch([b"six"]), np.zeros(1, np.int64))
            sender.send(0, 1)
            octets, address = sock.recvfrom(100)

    assert octets == b"six"
    assert address[0] == "::1"


def test_a_port_nobody_listens_on_is_no_error():
    with listener() as sock:
        port = sock.getsockname()[1]
    with Sender("127.0.0.1", port) as sender:
        sender.load(*batch([b"x"] * 10), np.zeros(10, np.int64))

        assert [sender.send(i, i + 1) for i in range(10)] == [1] * 10


def test_a_source_that_is_not_ours_is_one_clear_line():
    sources = np.array([[203, 0, 113, 9]], np.uint8)
    with Sender("127.0.0.1", 9, sources=sources) as sender:
        sender.load(*batch([b"x"]), np.zeros(1, np.int64))

        with pytest.raises(NetError, match=r"cannot send to udp://127.0.0.1:9: "):
            sender.send(0, 1)


def test_what_went_before_a_refusal_is_told():
    sources = np.array([[127, 3, 0, 1], [203, 0, 113, 9]], np.uint8)
    with listener() as sock, Sender(*sock.getsockname(), sources=sources) as sender:
        sender.load(*batch([b"x"] * 3), np.array([0, 0, 1]))

        assert sender.send(0, 3) == 2
        with pytest.raises(NetError):
            sender.send(2, 3)


def test_an_unknown_host_is_one_clear_line():
    with pytest.raises(NetError, match="unknown host"):
        resolve("no-such-host.invalid", 2055)


def test_own_address():
    assert own_address("127.0.0.1", 2055) == "127.0.0.1"
    assert own_address("::1", 2055) == "::1"


def test_a_batch_has_its_limit():
    with Sender("127.0.0.1", 9) as sender, pytest.raises(ValueError, match="at most 1024"):
        sender.load(*batch([b"x"] * 1025), np.zeros(1025, np.int64))
