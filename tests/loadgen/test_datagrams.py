from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from clarion.loadgen.config import Protocol, Refresh
from clarion.loadgen.truth import Truth
from tests.loadgen.played import START_MS, header, played, rows, script

RUNS = {
    "v5": {"protocol": Protocol.V5, "fps": 1000.0, "duration_s": 1.234},
    "v9": {"protocol": Protocol.V9, "fps": 1000.0, "duration_s": 1.234},
    "ipfix": {"protocol": Protocol.IPFIX, "fps": 1000.0, "duration_s": 1.234},
    "v9-mixed": {
        "protocol": Protocol.V9, "fps": 2000.0, "duration_s": 1.001, "ipv6_share": 0.4,
        "refresh": Refresh(0.2, 5),
    },
    "ipfix-mixed-layer2": {
        "protocol": Protocol.IPFIX, "fps": 2000.0, "duration_s": 1.001, "ipv6_share": 0.3,
        "layer2": True, "refresh": Refresh(0, 4),
    },
    "ipfix-ipv6-only": {"protocol": Protocol.IPFIX, "fps": 500.0, "duration_s": 1.1,
                        "ipv6_share": 1.0},
    "v9-gso": {"protocol": Protocol.V9, "fps": 200_000.0, "duration_s": 0.02, "gso": True,
               "ipv6_share": 0.5, "refresh": Refresh(0, 10)},
    "v9-odd-padding": {"protocol": Protocol.V9, "fps": 1000.0, "duration_s": 0.5,
                       "records_per_datagram": 3},
}  # fmt: skip


@pytest.fixture(params=RUNS, scope="module")
def run(request):
    return script(exporters=4, seed=11, **RUNS[request.param])


def test_the_octets_say_what_the_truth_says(run):
    truth = Truth(run, run.schedule.total_datagrams)

    expected = [row for table in truth.tables(chunk_rows=500) for row in table.to_pylist()]
    decoded = rows(run, played(run))

    assert Counter(map(frozenset, map(dict.items, decoded))) == Counter(
        map(frozenset, map(dict.items, expected))
    )
    assert len(decoded) == truth.records == run.schedule.total_records


def test_how_the_run_is_cut_into_batches_changes_nothing(run):
    assert played(run, batch=1) == played(run, batch=50)


def test_the_same_seed_sends_the_same_octets(run):
    config = run.config
    again = script(**{name: getattr(config, name) for name in config.__slots__})

    assert played(again) == played(run)


def test_headers_count_what_their_protocol_counts(run):
    flows, datagrams = Counter(), Counter()
    for sent in played(run):
        head = header(sent.octets)
        unit = datagrams if head.version == 9 else flows
        assert head.sequence == unit[sent.exporter]
        assert head.domain == run.exporters.domain[sent.exporter]
        flows[sent.exporter] += sent.records
        datagrams[sent.exporter] += 1
        if head.version == 10:
            assert head.count == len(sent.octets)
        elif sent.records:
            assert head.count == sent.records
        else:
            assert head.count == len(run.stocks)


def test_the_clock_is_the_time_a_datagram_is_due(run):
    boots = defaultdict(set)
    for sent in played(run):
        head = header(sent.octets)
        due_ms = START_MS + int(sent.due * 1000)
        assert head.export_ms == (due_ms if head.version == 5 else due_ms // 1000 * 1000)
        if head.version != 10:
            boots[sent.exporter].add(due_ms - head.uptime_ms)
    assert all(len(times) == 1 for times in boots.values())


def test_templates_come_first_and_again_after_so_many_datagrams(run):
    refresh = run.config.refresh
    since: dict[int, int] = {}
    for sent in played(run):
        if sent.records:
            since[sent.exporter] = since.get(sent.exporter, 0) + 1
            assert run.config.protocol == "v5" or sent.exporter in since
            if refresh.datagrams and run.config.protocol != "v5":
                assert since[sent.exporter] <= refresh.datagrams
        else:
            since[sent.exporter] = 0


def test_templates_come_again_after_a_time():
    run = script(
        protocol=Protocol.V9, fps=1000.0, duration_s=10.0, exporters=5, refresh=Refresh(1.5, 0)
    )
    times = defaultdict(list)
    for sent in played(run):
        if not sent.records:
            times[sent.exporter].append(sent.due)

    for sent_at in times.values():
        gaps = [b - a for a, b in pairwise(sent_at)]
        assert max(gaps) <= 1.5 + 0.13  # an exporter's datagrams are 0.12 s apart
        assert 6 <= len(gaps) <= 8
    assert len({sent_at[1] for sent_at in times.values()}) == 5  # spread over the interval


def test_no_refresh():
    run = script(protocol=Protocol.IPFIX, fps=5000.0, duration_s=2.0, refresh=Refresh(0, 0))

    assert sum(not sent.records for sent in played(run)) == run.config.exporters


def test_v5_has_no_templates():
    run = script(protocol=Protocol.V5, fps=1000.0, duration_s=1.0, refresh=Refresh(0.1, 1))

    assert all(sent.records for sent in played(run))


def test_exporters_of_many_kinds_have_template_ids_of_their_own():
    run = script(protocol=Protocol.V9, exporters=200, ipv6_share=0.5)

    ids = run.exporters.template_id
    assert len(set(ids.tolist())) == 128
    assert ids.min() == 256
    assert (ids % 2 == 0).all()  # IPv6's is one more
