import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion import units
from clarion.errors import UsageError


@pytest.mark.parametrize(
    ("text", "per_second"),
    [
        ("10M/h", 10e6 / 3600),
        ("2778/s", 2778),
        ("250", 250),
        ("0", 0),
        ("3k/s", 3000),
        ("3K", 3000),
        ("1.5M/min", 25_000),
        ("10M/d", 10e6 / 86400),
        ("2G/s", 2e9),
        (" 10 M / h ", 10e6 / 3600),
        (".5/s", 0.5),
        ("1e6/s", 1e6),
    ],
)
def test_rate_reads_what_people_write(text, per_second):
    assert units.rate(text) == pytest.approx(per_second, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 * 2**20),
        ("1.5 KiB", 1536),
        ("10MB", 10_000_000),
        ("2kB", 2000),
        ("1GiB", 2**30),
        ("4096", 4096),
        ("10.1MB", 10_100_000),
    ],
)
def test_octets_reads_what_people_write(text, size):
    assert units.octets(text) == size


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30s", 30),
        ("500ms", 0.5),
        ("5min", 300),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86400),
        ("7", 7),
    ],
)
def test_seconds_reads_what_people_write(text, duration):
    assert units.seconds(text) == pytest.approx(duration)


def test_the_message_names_given_wanted_and_an_example():
    with pytest.raises(UsageError) as caught:
        units.rate("10Q/h")
    assert str(caught.value) == (
        "rate '10Q/h': unknown multiple 'Q'; "
        "write a number with k, M or G and /s, /min, /h or /d, as in 10M/h"
    )


@pytest.mark.parametrize(
    "text", ["", "  ", "-1", "nan", "inf", "-inf", "abc", "1e999", "0x10", "1,5", "٣"]
)
@pytest.mark.parametrize("parse", [units.rate, units.octets, units.seconds])
def test_what_cannot_be_meant_is_refused_in_one_line(parse, text):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "as in" in str(caught.value)


@pytest.mark.parametrize(
    ("parse", "text", "found"),
    [
        (units.rate, "10M/w", "unknown period 'w'"),
        (units.rate, "10M/", "unknown period ''"),
        (units.rate, "10m/s", "unknown multiple 'm'"),
        (units.rate, "1e308G", "too large"),
        (units.octets, "64M", "unknown unit 'M'"),
        (units.octets, "10Mb", "unknown unit 'Mb'"),
        (units.seconds, "3w", "unknown unit 'w'"),
        (units.seconds, "-3s", "negative"),
        (units.rate, "5/s\n", None),
        (units.rate, "5/s\n6", "unknown period"),
    ],
)
def test_the_message_says_what_was_found(parse, text, found):
    if found is None:
        assert parse(text) == 5
        return
    with pytest.raises(UsageError, match=found) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("show", "number", "text"),
    [
        (units.format_rate, 10e6 / 3600, "2778/s"),
        (units.format_rate, 12_500, "12.5k/s"),
        (units.format_rate, 9999.9, "10k/s"),
        (units.format_rate, 1_250_000, "1.25M/s"),
        (units.format_rate, 0, "0/s"),
        (units.format_rate, 0.25, "0.25/s"),
        (units.format_octets, 212_992, "208 KiB"),
        (units.format_octets, 512, "512 B"),
        (units.format_octets, 64 * 2**20, "64 MiB"),
        (units.format_seconds, 0.25, "250ms"),
        (units.format_seconds, 90, "1.5min"),
        (units.format_seconds, 0, "0s"),
        (units.format_seconds, 86400, "1d"),
    ],
)
def test_numbers_are_shown_short(show, number, text):
    assert show(number) == text


@given(st.floats(min_value=1e-6, max_value=1e15))
def test_rate_reads_back_what_format_rate_shows(number):
    assert units.rate(units.format_rate(number)) == pytest.approx(number, rel=6e-4)


@given(st.integers(min_value=0, max_value=2**60))
def test_octets_reads_back_what_format_octets_shows(number):
    assert units.octets(units.format_octets(number)) == pytest.approx(number, rel=6e-4)


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_seconds_reads_back_what_format_seconds_shows(number):
    assert units.seconds(units.format_seconds(number)) == pytest.approx(number, rel=6e-4)


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_a_usage_error(text):
    for parse in (units.rate, units.octets, units.seconds):
        try:
            assert parse(text) >= 0
        except UsageError as err:
            assert "\n" not in str(err)  # noqa: PT017
