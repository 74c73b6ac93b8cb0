import pytest

from clarion.collector.config import CollectorConfig, load_config
from clarion.errors import UsageError


def test_defaults():
    config = load_config({}, {})

    assert config == CollectorConfig()
    assert (config.netflow_port, config.ipfix_port, config.bind_host) == (2055, 4739, "0.0.0.0")
    assert (config.batch_size, config.batch_interval) == (1000, 5.0)
    assert (config.retry_attempts, config.retry_backoff) == (3, 1.5)
    assert config.udp_rcvbuf == 32 << 20
    assert config.sinks == ("parquet:./flows",)
    assert config.switch_id_from_ip is True


def test_flag_beats_environment_beats_file_beats_default(tmp_path):
    file = tmp_path / "clarion.toml"
    file.write_text('netflow_port = 1\nipfix_port = 2\nbatch_size = 3\nudp_rcvbuf = "1MiB"\n')
    environment = {
        "CLARION_COLLECTOR_NETFLOW_PORT": "11",
        "CLARION_COLLECTOR_IPFIX_PORT": "12",
        "CLARION_COLLECTOR_BATCH_INTERVAL": "250ms",
    }

    config = load_config({"netflow_port": "21", "ipfix_port": None}, environment, file)

    assert (config.netflow_port, config.ipfix_port, config.batch_size) == (21, 12, 3)
    assert config.batch_interval == 0.25
    assert config.udp_rcvbuf == 1 << 20
    assert config.retry_attempts == 3


def test_every_environment_name_of_the_contract():
    environment = {
        "BACKEND_URL": "http://127.0.0.1:8000",
        "NETFLOW_PORT": "0",
        "IPFIX_PORT": "0",
        "BIND_HOST": "::",
        "BATCH_SIZE": "100000",
        "BATCH_INTERVAL": "3600",
        "LOG_LEVEL": "DEBUG",
        "UDP_RCVBUF": "67108864",
        "RETRY_ATTEMPTS": "0",
        "RETRY_BACKOFF": "0.5",
        "SWITCH_ID_FROM_IP": "false",
    }

    config = load_config({}, {f"CLARION_COLLECTOR_{k}": v for k, v in environment.items()})

    assert config.backend_url == "http://127.0.0.1:8000"
    assert config.bind_host == "::"
    assert (config.batch_size, config.batch_interval) == (100_000, 3600.0)
    assert config.log_level == "debug"
    assert config.udp_rcvbuf == 67108864
    assert (config.retry_attempts, config.retry_backoff) == (0, 0.5)
    assert config.switch_id_from_ip is False
    assert config.sinks == ("http://127.0.0.1:8000",)


def test_environment_names_the_file_and_sinks(tmp_path):
    file = tmp_path / "clarion.toml"
    file.write_text('duration = 5\nsink = ["null:"]\n')
    environment = {
        "CLARION_COLLECTOR_CONFIG": str(file),
        "CLARION_COLLECTOR_SINK": "null: parquet:/data",
    }

    config = load_config({}, environment)

    assert config.duration == 5.0
    assert config.sinks == ("null:", "parquet:/data")


def test_backend_is_one_sink_more():
    config = load_config({"sink": ["null:"], "backend_url": "http://h"}, {})

    assert config.sinks == ("null:", "http://h")


def test_unknown_key_names_the_nearest(tmp_path):
    file = tmp_path / "clarion.toml"
    file.write_text("netflow-prt = 1\n")

    with pytest.raises(UsageError, match="unknown key 'netflow-prt'; did you mean 'netflow_port'"):
        load_config({}, {}, file)


def test_all_problems_at_once(tmp_path):
    file = tmp_path / "clarion.toml"
    file.write_text("colour = 1\nbatch_size = 1.5\n")
    environment = {"CLARION_COLLECTOR_BATCH_INTERVAL": "soon"}

    with pytest.raises(UsageError) as caught:
        load_config({"netflow_port": "70000"}, environment, file)

    text = str(caught.value)
    assert "--netflow-port: 70000 is out of range, 0 to 65535" in text
    assert "CLARION_COLLECTOR_BATCH_INTERVAL: duration 'soon'" in text
    assert "unknown key 'colour'" in text
    assert f"{file}: batch_size: 1.5 is not a whole number" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"workers": "2"}, "--workers: '2' is not in this version; only 1"),
        ({"journal": "/var/j"}, "--journal: '/var/j' is not in this version; only off"),
        ({"metrics_port": "9100"}, "--metrics-port: '9100' is not in this version; only 0"),
        ({"log_level": "loud"}, "--log-level: 'loud' is none of debug, info"),
        ({"udp_rcvbuf": "0"}, "--udp-rcvbuf: '0' is out of range"),
        ({"udp_rcvbuf": "2GiB"}, "--udp-rcvbuf: '2GiB' is out of range"),
        ({"batch_size": "0"}, "--batch-size: 0 is out of range, 1 or more"),
        ({"retry_backoff": "-1"}, "--retry-backoff: '-1' is out of range, 0 or more"),
        ({"retry_backoff": "nan"}, "--retry-backoff: 'nan' is out of range"),
        ({"bind_host": " "}, "--bind-host: ' ' is not a text"),
    ],
)
def test_what_cannot_be_meant(flags, says):
    with pytest.raises(UsageError) as caught:
        load_config(flags, {})

    assert says in str(caught.value)


def test_flags_of_the_contract_that_say_nothing_new():
    config = load_config({"workers": "1", "journal": "off", "metrics_port": "0"}, {})

    assert (config.workers, config.journal, config.metrics_port) == ("1", "off", "0")


def test_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="cannot read: no such file"):
        load_config({}, {}, tmp_path / "none.toml")
    bad = tmp_path / "bad.toml"
    bad.write_text("port = = 1")
    with pytest.raises(UsageError, match="not TOML"):
        load_config({}, {}, bad)
