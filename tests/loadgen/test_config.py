import pytest

from clarion.errors import UsageError
from clarion.loadgen.config import Config, Protocol, Refresh, parse_target
from clarion.loadgen.script import make_script


@pytest.mark.parametrize(
    ("text", "protocol", "expected"),
    [
        (None, Protocol.V9, ("127.0.0.1", 2055)),
        (None, Protocol.IPFIX, ("127.0.0.1", 4739)),
        ("192.0.2.7:9995", Protocol.V5, ("192.0.2.7", 9995)),
        ("collector.example", Protocol.IPFIX, ("collector.example", 4739)),
        ("[::1]:2055", Protocol.V9, ("::1", 2055)),
        ("[fe80::1%eth0]", Protocol.V9, ("fe80::1%eth0", 2055)),
    ],
)
def test_targets(text, protocol, expected):
    assert parse_target(text, protocol) == expected


@pytest.mark.parametrize("text", ["::1:2055", "host:", "host:0", "host:65536", "[::1", "a b:c:d"])
def test_targets_that_cannot_be_meant(text):
    with pytest.raises(UsageError, match="target"):
        parse_target(text, Protocol.V9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20s", Refresh(20, 0)),
        ("4096", Refresh(0, 4096)),
        ("1min,500", Refresh(60, 500)),
        ("off", Refresh(0, 0)),
    ],
)
def test_refresh(text, expected):
    assert Refresh.parse(text) == expected
    assert Refresh.parse(str(expected)) == expected


def test_all_problems_are_told_at_once():
    with pytest.raises(UsageError) as caught:
        Config(fps=0, exporters=0, protocol=Protocol.V5, ipv6_share=0.5)

    assert str(caught.value).count(";") == 2


@pytest.mark.parametrize(
    ("settings", "records"),
    [
        ({"protocol": Protocol.V5}, 30),
        ({"protocol": Protocol.V9}, 24),
        ({"protocol": Protocol.IPFIX}, 24),
        ({"protocol": Protocol.IPFIX, "ipv6_share": 0.5}, 15),
        ({"protocol": Protocol.V9, "fps": 5.0}, 5),
        ({"protocol": Protocol.V9, "fps": 0.1}, 1),
        ({"protocol": Protocol.V9, "records_per_datagram": 100}, 100),
    ],
)
def test_records_per_datagram(settings, records):
    script = make_script(Config(**settings), own_address="127.0.0.1")

    assert script.schedule.records == records
    if "records_per_datagram" not in settings:
        assert max(stock.octets.shape[1] for stock in script.stocks) <= 1464


@pytest.mark.parametrize(("protocol", "records"), [(Protocol.V5, 31), (Protocol.V9, 2000)])
def test_records_that_fit_no_datagram(protocol, records):
    config = Config(protocol=protocol, records_per_datagram=records)

    with pytest.raises(UsageError, match="--records-per-datagram"):
        make_script(config, own_address="127.0.0.1")


def test_a_duration_gives_the_floor_of_rate_times_time():
    config = Config(fps=0.29, duration_s=100)

    assert make_script(config, own_address="127.0.0.1").schedule.total_records == 29
