"""Sequence tracking: the figures are those of the faults put into a stream, however it is cut."""

import struct
import time
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion.wire.batch import DatagramBatch
from clarion.wire.constants import IPFIX, SFLOW, V1, V5, V9
from clarion.wire.decode import Decoder, Limits
from clarion.wire.headers import Headers
from clarion.wire.sequence import SequenceTracker
from clarion.wire.sequence_gaps import Gap, Gaps
from clarion.wire.sequence_state import Arrival, SessionStates
from clarion.wire.sequence_table import SequenceCounts
from clarion.wire.sequence_units import sequence_units
from tests import captures
from tests.handmade import EXPORTER, IPFIX_PORTS, OTHER, fields, one_set

PROFILE = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])

WRAP = 1 << 32
FIGURES = (
    "datagrams", "lost", "missed", "recovered", "reordered", "duplicate", "restarted",
    "unknowable",
)  # fmt: skip


class Sent(NamedTuple):
    """One datagram as it arrives."""

    sequence: int
    units: int = 1
    session: int = 0
    version: int = V9
    unknowable: bool = False
    export_ms: int = 0
    uptime_ms: int = 0
    options: int = 0


def headers_of(sent: list[Sent]) -> Headers:
    n = len(sent)

    def column(name: str, kind: type) -> np.ndarray:
        return np.array([getattr(one, name) for one in sent], np.int64).astype(kind)

    return Headers(
        ordinal=np.arange(n),
        version=column("version", np.uint16),
        session=column("session", np.int64),
        domain=np.zeros(n, np.uint32),
        sequence=column("sequence", np.uint32),
        uptime_ms=column("uptime_ms", np.uint32),
        export_ms=column("export_ms", np.int64),
        sampling=np.zeros(n, np.uint16),
        count=np.zeros(n, np.uint16),
        address=np.zeros((n, 16), np.uint8),
        port=np.zeros(n, np.uint16),
        receive_ms=np.zeros(n, np.int64),
    )


def feed(tracker: SequenceTracker, sent: list[Sent]) -> None:
    tracker.track(
        headers_of(sent),
        np.array([one.units for one in sent], np.int64),
        np.array([one.unknowable for one in sent], np.bool_),
        np.array([one.options for one in sent], np.int64),
    )


def figures(tracker: SequenceTracker, session: int = 0) -> dict[str, int]:
    """Return what is not 0 of a session, but how many datagrams it had."""
    table = tracker.table()
    found = {name: int(getattr(table, name)[session]) for name in FIGURES}
    return {name: value for name, value in found.items() if value and name != "datagrams"}


def track(*sent: Sent | int, window: int = 256) -> dict[str, int]:
    """Return the figures of one session; a bare number is a v9 sequence number."""
    stream = [one if isinstance(one, Sent) else Sent(one) for one in sent]
    whole, single = SequenceTracker(window=window), SequenceTracker(window=window)
    feed(whole, stream)
    for one in stream:
        feed(single, [one])
    assert figures(whole) == figures(single)
    return figures(whole)


# What a datagram out of place means


def test_the_first_datagram_only_synchronises():
    assert track(4_000_000_000) == {}


def test_a_gap_is_lost():
    assert track(1, 2, 5) == {"lost": 2, "missed": 2}


def test_numbers_wrap():
    assert track(WRAP - 2, WRAP - 1, 0, 1) == {}
    assert track(WRAP - 2, 1) == {"lost": 2, "missed": 2}
    assert track(WRAP - 2, 1, WRAP - 1, 0) == {"missed": 2, "recovered": 2, "reordered": 2}


def test_a_late_datagram_takes_its_loss_back():
    assert track(1, 3, 2, 4) == {"missed": 1, "recovered": 1, "reordered": 1}
    assert track(1, 5, 3) == {"lost": 2, "missed": 3, "recovered": 1, "reordered": 1}


def test_the_same_again_is_a_duplicate():
    assert track(1, 2, 2, 3, 1) == {"duplicate": 2}
    assert track(1, 3, 2, 2) == {"missed": 1, "recovered": 1, "reordered": 1, "duplicate": 1}


def test_what_was_sent_before_the_first_one_seen_is_reordered():
    assert track(5, 4, 6) == {"reordered": 1}


def test_behind_the_window_a_loss_stays():
    assert track(1, 3, 4, 5, 6, 2, window=4) == {"missed": 1, "recovered": 1, "reordered": 1}
    assert track(1, 3, 4, 5, 6, 7, 2, window=4) == {"lost": 1, "missed": 1, "reordered": 1}


def test_a_gap_in_records_is_filled_in_any_pieces():
    pieces = [Sent(sequence, 10, version=V5) for sequence in (100, 150, 130, 110, 120, 140, 160)]
    assert track(*pieces) == {"missed": 40, "recovered": 40, "reordered": 4}


# Restarts


def test_uptime_that_goes_back_is_a_restart_wherever_the_number_goes():
    for sequence in (0, 90, 5000, WRAP - 5):
        before = Sent(100, export_ms=60_000, uptime_ms=50_000)
        after = Sent(sequence, export_ms=60_000, uptime_ms=10)
        more = Sent(sequence + 2, export_ms=61_000, uptime_ms=1010)
        found = {"restarted": 1, "lost": 1, "missed": 1}
        assert track(before, after, more) == found


def test_a_late_datagram_is_older_by_both_clocks_and_no_restart():
    stream = [Sent(i, export_ms=9000 * i, uptime_ms=9000 * i + 7) for i in (1, 2, 5, 3, 2)]
    found = {"lost": 1, "missed": 2, "recovered": 1, "reordered": 1, "duplicate": 1}
    assert track(*stream) == found


def test_a_gap_where_uptime_wraps_is_a_loss():
    before = Sent(100, export_ms=60_000, uptime_ms=WRAP - 1000)
    after = Sent(103, export_ms=70_000, uptime_ms=9000)
    assert track(before, after) == {"lost": 2, "missed": 2}


def test_behind_but_exported_later_is_a_restart():
    first = Sent(50_000, 20, version=IPFIX, export_ms=60_000)
    again = Sent(0, 20, version=IPFIX, export_ms=62_000)
    assert track(first, again, again._replace(sequence=20)) == {"restarted": 1}
    # In the same second it may as well be late.
    assert track(first, again._replace(export_ms=61_000)) == {"reordered": 1}


def test_without_a_clock_a_window_of_late_ones_is_a_restart():
    stream = [100_000, *range(10, 20)]
    assert track(*stream, window=8) == {"reordered": 8, "restarted": 1}


def test_a_newer_datagram_ends_a_run_of_late_ones():
    assert track(100, 99, 98, 97, 101, 96, window=3) == {"reordered": 4}


def test_gaps_of_before_a_restart_stay_lost():
    before = [Sent(i, export_ms=1000, uptime_ms=9000) for i in (1, 2, 4)]
    after = [Sent(i, export_ms=9000, uptime_ms=5) for i in (0, 1, 2, 3)]
    assert track(*before, *after) == {"lost": 1, "missed": 1, "restarted": 1}


def test_sflow_has_no_clock_to_go_by():
    # export_ms is the receive time there: a copy that comes late is no restart.
    stream = [
        Sent(i, version=SFLOW, export_ms=t, uptime_ms=i) for i, t in ((7, 0), (8, 1), (7, 9000))
    ]
    assert track(*stream) == {"duplicate": 1}


# What cannot be known


def ipfix_sent(sequence: int, units: int, **other) -> Sent:
    return Sent(sequence, units, version=IPFIX, **other)


def test_behind_an_uncounted_message_no_loss_is_counted():
    uncounted = ipfix_sent(10, 3, unknowable=True)
    assert track(ipfix_sent(0, 10), uncounted, ipfix_sent(40, 5), ipfix_sent(45, 5)) == {
        "unknowable": 1
    }
    # The message itself has its place; what is missing before it is lost.
    assert track(ipfix_sent(0, 5), uncounted, ipfix_sent(40, 5), ipfix_sent(46, 5)) == {
        "unknowable": 1, "lost": 6, "missed": 6,
    }  # fmt: skip


def test_an_uncounted_message_may_be_the_rest_of_its_gap():
    late = ipfix_sent(10, 0, unknowable=True)
    found = {"missed": 20, "recovered": 10, "lost": 10, "reordered": 1, "unknowable": 1}
    assert track(ipfix_sent(0, 0), ipfix_sent(20, 5), late) == found


def test_messages_of_templates_alone_take_no_numbers():
    assert track(ipfix_sent(5, 0), ipfix_sent(5, 10), ipfix_sent(15, 0), ipfix_sent(15, 2)) == {}
    assert track(ipfix_sent(5, 10), ipfix_sent(5, 0)) == {"reordered": 1}


# Exporters that count a message's own records into its number


def own_counting(sizes: list[int], options: frozenset[int] = frozenset(), start: int = 0):
    """Messages of softflowd: `sizes` flow records, and an options record that it leaves out."""
    total = start
    for number, size in enumerate(sizes):
        total += size
        extra = number in options
        yield ipfix_sent(total, size + extra, options=int(extra))


def test_the_own_counting_convention_is_found_out():
    sizes = [20, 27, 27, 28, 26, 30, 29, 0, 27, 26, 28, 28, 29, 27, 28, 20]
    found = {"missed": 7, "recovered": 7}
    assert track(*own_counting(sizes, frozenset({0, 9, 15}), start=WRAP - 100)) == found


def test_losses_of_an_own_counting_exporter():
    stream = list(own_counting([20, 27, 25, 28, 26, 30, 29, 27, 26]))
    del stream[5]
    stream[6], stream[7] = stream[7], stream[6]
    # 7 were missed before 25 behind 27 told; then 30 are lost, and 27 come late.
    assert track(*stream) == {
        "missed": 64, "recovered": 34, "lost": 30, "reordered": 1,
    }  # fmt: skip


def test_an_uncounted_message_of_an_own_counting_exporter():
    stream = list(own_counting([20, 27, 25, 28, 26, 30]))
    stream[4] = stream[4]._replace(units=10, unknowable=True)
    assert track(*stream) == {"missed": 7, "recovered": 7, "unknowable": 1}


def test_its_numbers_end_where_a_message_does_so_that_a_loss_behind_it_is_known():
    stream = list(own_counting([27, 20, 20, 20, 30, 20, 20]))
    stream[4] = stream[4]._replace(units=10, unknowable=True)
    del stream[5]
    assert track(*stream) == {"missed": 20, "lost": 20, "unknowable": 1}
    tracker = SequenceTracker()
    feed(tracker, stream[:3])
    feed(tracker, stream[3:])
    assert figures(tracker) == {"missed": 20, "lost": 20, "unknowable": 1}


def test_an_exporter_that_learns_to_count_is_found_out_too():
    stream = list(own_counting([20, 15, 20, 15, 20, 15, 20, 15]))
    last = stream[-1].sequence
    stream += [ipfix_sent(last + at, n) for at, n in ((0, 10), (10, 30), (40, 8), (48, 30))]
    # The first of the new kind looks like a copy, the second tells.
    assert track(*stream) == {"duplicate": 1}


# Streams with faults put in


class Truth(NamedTuple):
    stream: list[Sent]
    figures: dict[str, int]


@st.composite
def streams(draw: st.DrawFn, session: int = 0) -> Truth:
    """A session's datagrams as they arrive, with drops, copies, delays and restarts, counted."""
    version = draw(st.sampled_from([V5, V9, IPFIX, SFLOW]))
    sizes = {V5: st.integers(1, 30), IPFIX: st.integers(0, 40)}.get(version, st.just(1))
    tally = dict.fromkeys(FIGURES, 0)
    arrived: list[Sent] = []
    position = draw(st.sampled_from([0, 7, 10_000, WRAP - 50, WRAP // 2, WRAP - 1]))
    now_ms, booted_ms = 1_000_000_000, 0
    # Without a clock, sFlow tells a restart from a late datagram by 2 s of uptime.
    epochs, step_ms = (2, 100) if version == SFLOW else (3, 1500)
    for epoch in range(draw(st.integers(1, epochs))):
        if epoch:
            tally["restarted"] += bool(arrived)
            now_ms += 3000
            booted_ms = now_ms
            # Behind by more than a message, so that it cannot be taken for one that overlaps.
            position -= draw(st.integers(5000, WRAP // 2))
        sent = []
        for _ in range(draw(st.integers(1, 20))):
            units = draw(sizes)
            uptime = 0 if version == IPFIX else (now_ms - booted_ms) % WRAP
            export = now_ms // 1000 * 1000
            one = Sent(position % WRAP, units, session, version, False, export, uptime)
            sent.append((position, one))
            position += units
            now_ms += draw(st.integers(0, step_ms))
        order = []
        for number, (at, one) in enumerate(sent):
            first = bool(epoch) and number == 0  # a new epoch begins with its first datagram
            fate = "sent" if first else draw(st.sampled_from(["sent"] * 4 + ["drop", "twice"]))
            delay = 0 if first else draw(st.sampled_from([0, 0, 0, 1, 2, 5]))
            if fate != "drop":
                order.append((number + delay, at, one))
            if fate == "twice":
                order.append((number + delay + draw(st.integers(0, 6)), at, one))
        order.sort(key=lambda item: item[0])
        position = count(tally, [(at, one) for _, at, one in order], position)
        arrived += [one for *_, one in order]
    return Truth(arrived, tally)


def count(tally: dict[str, int], order: list[tuple[int, Sent]], nothing: int) -> int:
    """Add what arrived in one epoch to the figures; return the position behind it."""
    tally["datagrams"] += len(order)
    if not order:
        return nothing
    begun = top = order[0][0]
    seen = set()
    for at, one in order:
        end = at + one.units
        if one.units and at >= begun and at in seen:
            tally["duplicate"] += 1
        elif at < top:
            tally["reordered"] += 1
            if at >= begun:
                tally["recovered"] += one.units
        else:
            tally["missed"] += at - top
        if one.units:
            seen.add(at)
        top = max(top, end)
    tally["lost"] = tally["missed"] - tally["recovered"]
    return top


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[list[Truth], list[Sent], list[int]]:
    """Several sessions' streams mixed, and where to cut the mix into batches."""
    truths = [draw(streams(session)) for session in range(draw(st.integers(1, 5)))]
    turns = draw(st.permutations([i for i, t in enumerate(truths) for _ in t.stream]))
    left = [iter(truth.stream) for truth in truths]
    mixed = [next(left[turn]) for turn in turns]
    return truths, mixed, draw(st.lists(st.integers(0, len(mixed)), max_size=8))


@settings(PROFILE)
@given(interleaved())
def test_the_figures_are_those_of_what_was_put_in(drawn):
    truths, mixed, cuts = drawn
    tracker = SequenceTracker()
    bounds = [0, *sorted(cuts), len(mixed)]
    for first, end in pairwise(bounds):
        feed(tracker, mixed[first:end])
    for session, truth in enumerate(truths):
        if truth.stream:
            table = tracker.table()
            found = {name: int(getattr(table, name)[session]) for name in FIGURES}
            assert found == truth.figures


@settings(PROFILE)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.booleans()), max_size=40))
def test_only_losses_behind_counted_messages_are_counted(messages):
    """In order: (records, whether they were all counted, whether the message came)."""
    position, lost, uncounted, stream = 0, 0, 0, []
    missing, known = 0, False
    for records, counted, came in messages:
        if came:
            lost += missing if known else 0
            known, missing = counted, 0
            uncounted += not counted
            units = records if counted else records // 2
            stream.append(ipfix_sent(position, units, unknowable=not counted))
        else:
            missing += records
        position += records
    if stream:
        found = track(*stream)
        assert (found.get("lost", 0), found.get("unknowable", 0)) == (lost, uncounted)
        assert found.keys() <= {"lost", "missed", "unknowable"}


NUMBERS = st.integers(0, WRAP - 1)
NOISE = st.lists(
    st.builds(
        Sent,
        sequence=st.one_of(st.integers(0, 40), st.integers(WRAP - 9, WRAP - 1), NUMBERS),
        units=st.integers(2, 9),
        session=st.integers(0, 2),
        version=st.sampled_from([IPFIX, IPFIX, V9]),
        unknowable=st.booleans(),
        export_ms=st.integers(0, 5000),
        uptime_ms=st.integers(0, 5000),
        options=st.integers(0, 2),
    ),
    max_size=60,
)  # fmt: skip


def same_however_cut(sent: list[Sent], cuts: list[int]) -> None:
    """Follow a stream at once, in parts, and one by one without arrays: all the same."""
    whole, parts = SequenceTracker(window=6), SequenceTracker(window=6)
    scalar = SessionStates(window=6)
    scalar.grow(3)
    feed(whole, sent)
    bounds = [0, *sorted(cuts), len(sent)]
    for first, end in pairwise(bounds):
        feed(parts, sent[first:end])
    for one in sent:
        arrival = Arrival(
            one.version, one.sequence, one.units, one.options, one.unknowable, one.export_ms,
            one.uptime_ms,
        )  # fmt: skip
        scalar.follow(one.session, [arrival])
    for tracker in (whole, parts):
        tracker._states.grow(3)
        np.testing.assert_array_equal(tracker._states._table[:, :3], scalar._table[:, :3])
        assert dict(tracker._states._gaps._of) == dict(scalar._gaps._of)
    assert (whole.table().lost >= 0).all()


@settings(PROFILE)
@given(NOISE, st.lists(st.integers(0, 60), max_size=6))
def test_any_stream_cut_anyhow_gives_the_same_as_one_by_one(sent, cuts):
    same_however_cut(sent, cuts)


@settings(PROFILE)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.integers(0, 9)), max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_so_does_a_stream_of_an_own_counting_exporter(messages, cuts):
    """Each: flow records, whether with an options record; its fate: 7 uncounted, 8, 9 dropped."""
    options = frozenset(i for i, message in enumerate(messages) if message[1])
    stream = list(own_counting([message[0] for message in messages], options))
    arrived = []
    for one, (records, _, fate) in zip(stream, messages, strict=True):
        if fate < 8:
            few = one._replace(units=records // 2 + one.options, unknowable=True)
            arrived.append(few if fate == 7 else one)
    same_however_cut(arrived, cuts)


# Bounds


def test_gaps_are_bounded_in_every_session_and_over_all():
    gaps = Gaps()
    for number in range(100):
        floor, *_ = gaps.open(7, Gap(10 * number, 10 * number + 5, number))
    assert floor == 10 * (99 - Gaps.LIMIT) + 5
    for row in range(10_000):
        _, other, behind = gaps.open(row + 100, Gap(0, row + 1, 0))
    assert len(gaps._of) == Gaps.SESSIONS
    assert other == 100 + 9999 - Gaps.SESSIONS
    assert behind == other - 99


def test_splitting_a_gap_does_not_grow_without_bound():
    stream = [Sent(0), Sent(10_000), *(Sent(number) for number in range(2, 400, 2))]
    tracker = SequenceTracker(window=10_000)
    feed(tracker, stream)
    assert len(tracker._states._gaps._of[0]) <= Gaps.LIMIT
    found = figures(tracker)
    assert found["reordered"] == 199
    assert found["lost"] + found["recovered"] == 9999


# Out of the decoder


def v5(sequence: int, records: int, *, engine: int = 0, cut: int = 0) -> bytes:
    header = struct.pack(
        "!HHIIIIHH", 5, records, 1000, 1_700_000_000, 0, sequence % WRAP, engine, 0
    )
    return header + bytes(48 * (records - cut))


def v9(sequence: int, *sets: bytes) -> bytes:
    return struct.pack("!HHIIII", 9, 1, 1000, 1_700_000_000, sequence % WRAP, 7) + b"".join(sets)


def ipfix(sequence: int, *sets: bytes) -> bytes:
    body = b"".join(sets)
    return struct.pack("!HHIII", 10, 16 + len(body), 1_700_000_000, sequence % WRAP, 7) + body


def ports(records: int, set_id: int = 256) -> bytes:
    return one_set(set_id, bytes(4 * records))


# One scope field (observationDomainId) and one other.
OPTIONS = one_set(3, struct.pack("!HHH", 300, 2, 1) + fields((149, 4), (41, 4)))


def observed(*payloads: bytes, decoder: Decoder | None = None, **batch) -> SequenceTracker:
    decoder, tracker = decoder or Decoder(), SequenceTracker()
    batch.setdefault("address", EXPORTER)
    tracker.observe(decoder.decode(DatagramBatch.of(list(payloads), **batch)))
    return tracker


def test_v5_counts_the_records_of_its_header():
    # As the exporter counted them: what was cut off is not lost.
    tracker = observed(v5(WRAP - 30, 30), v5(0, 30, cut=2), v5(30, 1), v5(41, 30))
    assert figures(tracker) == {"lost": 10, "missed": 10}
    assert tracker.table().totals() == SequenceCounts(datagrams=4, lost_records=10)


def test_v5_engines_count_apart():
    tracker = observed(v5(10, 30), v5(900, 20, engine=1), v5(40, 1), v5(920, 1, engine=1))
    assert figures(tracker, 0) == figures(tracker, 1) == {}


def test_v9_counts_datagrams_whatever_they_hold():
    tracker = observed(v9(5), v9(6, ports(9, 999)), v9(9))
    assert figures(tracker) == {"lost": 2, "missed": 2}
    assert tracker.table().totals() == SequenceCounts(datagrams=3, lost_datagrams=2)


def test_ipfix_counts_data_records_of_options_too_and_no_templates():
    tracker = observed(
        ipfix(100, IPFIX_PORTS, OPTIONS),
        ipfix(100, ports(3), one_set(300, bytes(16)), ports(2)),
        ipfix(107, ports(1)),
    )
    assert figures(tracker) == {}


@pytest.mark.parametrize(
    "bad",
    [
        ports(3, set_id=400),
        struct.pack("!HH", 256, 2),
        struct.pack("!HH", 256, 400) + bytes(20),
    ],
    ids=["no template", "bad length", "overrun"],
)
def test_an_ipfix_message_with_an_undecodable_set_is_unknowable(bad):
    tracker = observed(ipfix(0, IPFIX_PORTS), ipfix(0, ports(3), bad), ipfix(70, ports(1)))
    assert figures(tracker) == {"unknowable": 1}


def test_a_set_that_waited_is_not_counted_where_its_template_came():
    decoder = Decoder()
    tracker = observed(
        ipfix(0, ports(5)), ipfix(5, ports(2), IPFIX_PORTS), ipfix(7, ports(4)), ipfix(11),
        decoder=decoder,
    )  # fmt: skip
    # 5 and 2 records wait, and are late ones; 4 come with their template known.
    assert figures(tracker) == {"unknowable": 2}


def test_what_is_malformed_or_refused_is_passed_over():
    decoder = Decoder(Limits(sessions=1))
    addresses = [EXPORTER, EXPORTER, OTHER, EXPORTER]
    tracker = observed(v9(1), b"\0\5", v9(50), v9(2), decoder=decoder, address=addresses)
    assert tracker.table().totals() == SequenceCounts(datagrams=2)
    assert len(tracker.table()) == 1
    assert len(SequenceTracker().table()) == 0


def test_v1_has_no_sequence():
    tracker = SequenceTracker()
    feed(tracker, [Sent(5, version=V1), Sent(90, version=V1)])
    assert tracker.table().totals() == SequenceCounts()


def test_totals_add_up():
    one = SequenceCounts(datagrams=1, lost_records=2, restarted=3)
    other = SequenceCounts(datagrams=10, lost_datagrams=4)
    total = SequenceCounts(datagrams=11, lost_records=2, lost_datagrams=4, restarted=3)
    assert one + other == total


# The other captures' packets were picked out of longer streams, and netscaler_ipfix's too.
UNBROKEN = [
    case
    for case in captures.CASES
    if case not in ("all_exporters", "netscaler_ipfix")
    and "sequence_jumps" not in captures.expected(case)
]


@pytest.mark.parametrize("case", UNBROKEN or [pytest.param("", id="absent")])
def test_real_exporters_without_jumps_lose_nothing(case):
    captures.require()
    packets = captures.packets(case)
    tracker = observed(
        *(packet.payload for packet in packets), address=[packet.address for packet in packets]
    )
    totals = tracker.table().totals()
    assert totals == SequenceCounts(datagrams=totals.datagrams, unknowable=totals.unknowable)


def test_softflowd_counts_its_own_records_and_loses_none():
    captures.require()
    tracker = observed(*(packet.payload for packet in captures.packets("softflowd_ipfix")))
    assert tracker.table().totals() == SequenceCounts(datagrams=3)


def test_units_of_mixed_versions_in_one_batch():
    decoded = Decoder().decode(
        DatagramBatch.of(
            [v5(0, 7), ipfix(0, IPFIX_PORTS, ports(4)), b"", v9(3), ipfix(4, ports(1, 999))]
        )
    )
    found = sequence_units(decoded)
    assert found.units[[0, 1, 3, 4]].tolist() == [7, 4, 1, 0]
    assert found.unknowable.tolist() == [False, False, False, False, True]
    assert not found.options.any()


def test_a_thousand_sessions_are_followed_at_once():
    """One datagram of each: about 0.1 ms on an idle core; the bound leaves room for a busy one."""
    tracker = SequenceTracker()
    best = 1.0
    units, unknowable = np.full(1000, 24), np.zeros(1000, np.bool_)
    rng = np.random.default_rng(1)
    for number in range(40):
        session = rng.permutation(1000)
        stream = headers_of([Sent(24 * number, session=int(s), version=IPFIX) for s in session])
        began = time.perf_counter()
        tracker.track(stream, units, unknowable)
        best = min(best, time.perf_counter() - began)
    assert tracker.table().totals() == SequenceCounts(datagrams=40_000)
    assert best < 0.001
