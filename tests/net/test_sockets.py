import socket

import pytest

from clarion.errors import NetError
from clarion.net.sockets import ReceiveBuffer, open_listener, unwrap

pytestmark = pytest.mark.net


def test_port_zero_picks_a_free_port():
    listener = open_listener("127.0.0.1", 0, receive_buffer=1 << 20)
    try:
        assert listener.port > 0
        assert listener.url == f"udp://127.0.0.1:{listener.port}"
        assert not listener.ipv6
    finally:
        listener.close()


def test_two_listeners_share_a_port():
    first = open_listener("127.0.0.1", 0, receive_buffer=65536)
    second = open_listener("127.0.0.1", first.port, receive_buffer=65536)
    try:
        assert second.port == first.port
    finally:
        first.close()
        second.close()


def test_port_of_a_program_that_does_not_share_is_one_line():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(NetError) as caught:
            open_listener("127.0.0.1", port, receive_buffer=65536)

    text = f"cannot bind udp://127.0.0.1:{port}: address in use; another collector? try ss -ulpn"
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("192.0.2.1", "not an address of this host"),
        ("no.such.host.invalid", "give an address of this host"),
        ("a" * 300, "give an address of this host"),
    ],
)
def test_address_that_cannot_be_bound(host, says):
    with pytest.raises(NetError, match=says) as caught:
        open_listener(host, 0, receive_buffer=65536)

    assert "\n" not in str(caught.value)


def test_dual_stack_takes_ipv4_as_mapped():
    listener = open_listener("::", 0, receive_buffer=65536)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("127.0.0.1", listener.port))
        listener.socket.settimeout(5)
        _, address = listener.socket.recvfrom(10)

        assert listener.ipv6
        assert listener.url == f"udp://[::]:{listener.port}"
        assert address[0] == "::ffff:127.0.0.1"
    finally:
        listener.close()


def test_buffer_is_read_back_in_the_unit_of_the_request():
    listener = open_listener("127.0.0.1", 0, receive_buffer=100_000)
    try:
        assert listener.buffer == ReceiveBuffer(requested=100_000, granted=100_000)
        assert not listener.buffer.capped
        assert listener.gauge().capacity == 200_000
    finally:
        listener.close()


def test_capped_buffer_names_the_remedy():
    buffer = ReceiveBuffer(requested=64 << 20, granted=4 << 20)

    assert buffer.capped
    assert buffer.remedy == "sysctl -w net.core.rmem_max=67108864"


def test_gauge_counts_drops_and_fill():
    listener = open_listener("127.0.0.1", 0, receive_buffer=4096)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(100):
                sender.sendto(bytes(1000), ("127.0.0.1", listener.port))
        waiting = 0
        gauge = listener.gauge()
        while True:
            try:
                listener.socket.recv(2000)
            except BlockingIOError:
                break
            waiting += 1

        assert gauge.fill > 0
        assert gauge.dropped > 0
        assert waiting + gauge.dropped == 100
    finally:
        listener.close()


def test_drop_counter_survives_its_wrap():
    total = unwrap(0, 2**32 - 5)
    total = unwrap(total, 10)

    assert total == 2**32 + 10
    assert unwrap(total, 10) == total
