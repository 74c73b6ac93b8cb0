"""Sinks by URI: which are known, and what is said of the others."""

import pytest

from clarion.collector.sinks import SCHEMES, SinkSettings, open_sink
from clarion.errors import SinkError, UsageError


def test_each_scheme_opens(tmp_path):
    uris = {
        "null:": "null:",
        f"parquet:{tmp_path}/flows": f"parquet:{tmp_path}/flows",
        f"ndjson:{tmp_path}/flows.json": f"ndjson:{tmp_path}/flows.json",
        "http://127.0.0.1:9": "http://127.0.0.1:9",
    }
    for uri, name in uris.items():
        sink = open_sink(uri, SinkSettings())
        sink.close()
        assert sink.name == name
        assert (sink.delivered, sink.failed, sink.pending) == (0, 0, 0)


@pytest.mark.parametrize(
    "uri", ["", "parquet", "parquet:", "ndjson:", "null:x", "s3://bucket", "http:host", "/tmp/x"]
)
def test_unknown_uri_names_the_known_ones(uri):
    with pytest.raises(UsageError) as raised:
        open_sink(uri, SinkSettings())

    assert repr(uri) in str(raised.value)
    for scheme in SCHEMES:
        assert scheme in str(raised.value)


@pytest.mark.parametrize("uri", ["http://", "http://[::1", "http://h:port", "https://:443/x"])
def test_a_url_that_is_none(uri):
    with pytest.raises(UsageError, match="wanted http"):
        open_sink(uri, SinkSettings())


@pytest.mark.parametrize("uri", ["http://user:secret@h:1x", "htp://user:secret@host/"])
def test_no_message_shows_a_password(uri):
    with pytest.raises(UsageError) as raised:
        open_sink(uri, SinkSettings())

    assert "secret" not in str(raised.value)


def test_no_name_shows_user_info_or_query():
    sink = open_sink("http://user:secret@127.0.0.1:9/base?token=abc", SinkSettings())
    sink.close()

    assert sink.name == "http://127.0.0.1:9/base"


@pytest.mark.parametrize("scheme", ["parquet", "ndjson"])
def test_a_place_that_cannot_be_written_to(scheme, tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(SinkError, match=r"cannot .*file/flows.*; choose a "):
        open_sink(f"{scheme}:{tmp_path}/file/flows", SinkSettings())


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"retry_attempts": -1}, {"timeout_s": 0}, {"batch_interval_s": -1}]
)
def test_settings_that_cannot_be_meant(wrong):
    with pytest.raises(UsageError, match=f"{next(iter(wrong))} is .*; wanted"):
        SinkSettings(**wrong)


def test_null_counts(flows, account):
    sink = open_sink("null:", SinkSettings())
    sink.write(flows(3))
    sink.write(flows(0))
    sink.tick(1.0)
    sink.close()

    assert account(sink, 3) == (3, 0, 0)
