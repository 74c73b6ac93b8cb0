import ipaddress

import numpy as np
import pytest

from clarion.loadgen.exporters import loopback_addresses, make_exporters
from clarion.loadgen.traffic import make_pool


@pytest.fixture(params=[False, True], ids=["ipv4", "ipv6"])
def pool(request):
    return make_pool(7, 20_000, ipv6=request.param)


def test_the_same_seed_makes_the_same_records():
    one, same, other = make_pool(3, 999), make_pool(3, 999), make_pool(4, 999)

    for name, column in one.columns.items():
        assert (column == same.columns[name]).all(), name
    assert (one.start_age == same.start_age).all()
    assert (one.columns["bytes"] != other.columns["bytes"]).any()


def test_bytes_lie_between_the_smallest_and_largest_packets(pool):
    per_packet = pool.columns["bytes"] / pool.columns["packets"]

    assert pool.columns["packets"].min() >= 1
    assert per_packet.min() >= 28
    assert per_packet.max() <= 1500
    assert pool.columns["bytes"].max() < 2**32


def test_traffic_is_heavy_tailed(pool):
    octets = np.sort(pool.columns["bytes"])[::-1]
    talkers = np.unique(pool.columns["src_ip"], axis=0, return_counts=True)[1]

    assert octets[: len(octets) // 100].sum() > 0.3 * octets.sum()
    assert np.sort(talkers)[::-1][:20].sum() > 0.1 * talkers.sum()


def test_flags_ports_and_protocol_go_together(pool):
    columns = pool.columns
    tcp, icmp = columns["protocol"] == 6, np.isin(columns["protocol"], (1, 58))

    assert (columns["tcp_flags"][~tcp] == 0).all()
    assert (columns["tcp_flags"][tcp] != 0).all()
    assert (columns["src_port"][icmp] == 0).all()
    assert (np.minimum(columns["src_port"], columns["dst_port"])[~icmp] < 32768).all()
    assert set(columns["protocol"]) <= {1, 6, 17, 58}


def test_both_directions_of_a_conversation_mirror_each_other(pool):
    columns = {name: column[: len(column) // 2 * 2] for name, column in pool.columns.items()}
    icmp = np.isin(columns["protocol"][::2], (1, 58))

    for one, other in (("src_ip", "dst_ip"), ("src_as", "dst_as"), ("input_if", "output_if")):
        assert (columns[one][::2] == columns[other][1::2]).all(), one
    assert (columns["src_port"][::2] == columns["dst_port"][1::2])[~icmp].all()


def test_a_flow_starts_before_it_ends_and_ends_before_its_export(pool):
    assert (pool.end_age >= 0).all()
    assert (pool.start_age >= pool.end_age).all()
    single = pool.columns["packets"] == 1
    assert (pool.start_age == pool.end_age)[single].all()


def test_v5_has_short_as_numbers():
    assert make_pool(1, 9999, short_as=True).columns["dst_as"].max() < 65536
    assert make_pool(1, 9999).columns["dst_as"].max() > 65535


def test_loopback_addresses_are_distinct_and_usable():
    octets = loopback_addresses(np.arange(200_000))

    addresses = {ipaddress.ip_address(row.tobytes()) for row in octets}
    assert len(addresses) == 200_000
    assert all(address.is_loopback for address in addresses)
    assert not set(octets[:, 3]) & {0, 255}
    assert str(ipaddress.ip_address(octets[0].tobytes())) == "127.1.0.1"


def test_exporters_behind_one_address_have_domains_of_their_own():
    exporters = make_exporters(300, seed=1, pool_datagrams=100, own_address="192.0.2.1", v5=False)

    assert exporters.source is None
    assert set(exporters.address) == {"192.0.2.1"}
    assert len(set(exporters.domain.tolist())) == 300
