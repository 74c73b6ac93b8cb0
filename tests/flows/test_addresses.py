"""Text of addresses: the same as the C library's, for any address and any number of rows."""

import socket
from ipaddress import IPv6Address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.flows.addresses import address_text, ipv4_text, ipv6_text, mac_text

MAPPED = b"\0" * 10 + b"\xff\xff"

# Hextets as addresses have them: zeros in runs, small numbers, ffff, any.
hextet = st.sampled_from([0, 0, 0, 1, 0xFFFF]) | st.integers(0, 0xFFFF)
ipv6 = st.lists(hextet, min_size=8, max_size=8).map(
    lambda hextets: b"".join(h.to_bytes(2, "big") for h in hextets)
)
mapped = st.binary(min_size=4, max_size=4).map(lambda last: MAPPED + last)


def rows(values: list[bytes], width: int) -> np.ndarray:
    return np.frombuffer(b"".join(values), np.uint8).reshape(len(values), width)


def as_c_library(octets: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6, octets)


@given(st.lists(st.integers(0, 0xFFFFFFFF)))
def test_ipv4_is_dotted_decimal(values):
    text = ipv4_text(np.array(values, np.uint32))

    text.validate(full=True)
    assert text.to_pylist() == [socket.inet_ntoa(v.to_bytes(4, "big")) for v in values]


def test_every_half_of_an_ipv4_address():
    half = np.arange(65536, dtype=np.uint32)
    text = ipv4_text(half << 16 | half[::-1])

    assert text.to_pylist() == [
        f"{n >> 8}.{n & 255}.{(65535 - n) >> 8}.{(65535 - n) & 255}" for n in range(65536)
    ]


@given(st.lists(ipv6 | mapped | st.binary(min_size=16, max_size=16)))
def test_ipv6_is_what_the_c_library_prints(values):
    text = ipv6_text(rows(values, 16))

    text.validate(full=True)
    assert text.to_pylist() == [as_c_library(v) for v in values]


def test_ipv6_every_place_of_the_zeros():
    values = [
        b"".join(b"\0\0" if pattern >> (7 - i) & 1 else b"\x0a\x0b" for i in range(8))
        for pattern in range(256)
    ]

    assert ipv6_text(rows(values, 16)).to_pylist() == [as_c_library(v) for v in values]


def test_ipv6_every_hextet():
    values = np.zeros((65536, 16), np.uint8)
    values[:, 0] = 0x20
    values[:, 8:10] = np.arange(65536, dtype=">u2").view(np.uint8).reshape(-1, 2)

    assert ipv6_text(values).to_pylist() == [
        str(IPv6Address(v.tobytes())) for v in values
    ]  # none of them ends in an IPv4 address


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("20010db8000000000000000000000001", "2001:db8::1"),  # RFC 5952 4.1, 4.2.1
        ("20010db8000000010001000100010001", "2001:db8:0:1:1:1:1:1"),  # 4.2.2: one zero stays
        ("20010000000000010000000000000001", "2001:0:0:1::1"),  # 4.2.3: the longest run
        ("20010db8000000000001000000000001", "2001:db8::1:0:0:1"),  # 4.2.3: the first of two
        ("00000000000000000000000000000000", "::"),
        ("00000000000000000000000000000001", "::1"),
        ("fe800000000000000000000000000000", "fe80::"),
        ("00000000000000000000ffffc0000201", "::ffff:192.0.2.1"),  # 5
        ("000000000000000000000000c0000201", "::192.0.2.1"),  # as glibc: IPv4-compatible
    ],
)
def test_ipv6_canonical_form(octets, text):
    assert ipv6_text(rows([bytes.fromhex(octets)], 16)).to_pylist() == [text]


@given(st.lists(st.binary(min_size=6, max_size=6)))
def test_mac_is_lower_case_with_colons(values):
    text = mac_text(rows(values, 6))

    text.validate(full=True)
    assert text.to_pylist() == [v.hex(":") for v in values]


@given(st.lists(ipv6 | mapped), st.booleans())
def test_exporter_address_prints_mapped_as_ipv4(values, strided):
    octets = rows(values, 16)
    if strided:
        octets = np.repeat(octets, 2, axis=0)[::2]
    text = address_text(octets)

    text.validate(full=True)
    assert text.to_pylist() == [
        socket.inet_ntoa(v[12:]) if v.startswith(MAPPED) else as_c_library(v) for v in values
    ]
