import dataclasses

import pytest

from clarion.measure.judge import Collected, Sample, Sent, backlog, judge
from clarion.measure.search import Outcome

FPS, SECONDS = 1000.0, 9.0


def sent(**changes):
    whole = Sent(
        ended_at=109.0,
        intended_fps=FPS,
        sent_fps=FPS,
        records=9000,
        unsent=0,
        datagrams=375,
        octets=540_000,
        records_per_datagram=24,
        seconds=SECONDS,
    )
    return dataclasses.replace(whole, **changes)


def collected(**changes):
    whole = Collected(
        received=9000,
        delivered=9000,
        in_flight=0,
        losses={"kernel_dropped": 0, "no_template": 0},
        cpu_seconds=1.5,
        peak_rss_bytes=7,
    )
    return dataclasses.replace(whole, **changes)


def samples(capacity=FPS, hold=0.0, fill=0, queue=0, rcvbuf=1000):
    """Progress of a collector that takes `capacity`, in batches of `hold` seconds."""
    out = []
    for i in range(-5, 110):
        seconds = i * 0.1
        seen = max(0.0, min(seconds, SECONDS))
        if hold:
            seen = seen // hold * hold
        out.append(
            Sample(
                at=100 + seconds,
                datagrams_received=max(0, int(seen * 40)),
                records_received=int(min(FPS * seen, capacity * max(0.0, seconds))),
                socket_fill=fill,
                rcvbuf=rcvbuf,
                queue_octets=queue,
                cpu_seconds=0.5 if i <= 0 else 0.5 + i * 0.01,
            )
        )
    return out


def outcome(sent_=None, collected_=None, samples_=None, width=0.02):
    return judge(
        sent_ or sent(),
        collected_ or collected(),
        samples() if samples_ is None else samples_,
        width=width,
    )


def test_backlog_of_a_collector_that_takes_nine_tenths():
    got = backlog(sent(), samples(capacity=900))
    assert got.growth == pytest.approx(300, abs=20)
    assert got.end == pytest.approx(600, abs=20)


def test_a_collector_that_keeps_up_passes():
    trial, said = outcome()
    assert said is Outcome.PASSED
    assert trial.passed
    assert trial.reason == ""
    assert trial.cpu_seconds == pytest.approx(1.0)
    assert trial.cpu_cores == pytest.approx(0.1)
    assert trial.delivered_fps == pytest.approx(1000)


def test_batches_are_no_backlog():
    assert outcome(samples_=samples(hold=0.7))[1] is Outcome.PASSED


def test_a_buffer_that_hides_the_loss_is_seen():
    trial, said = outcome(samples_=samples(capacity=900))
    assert said is Outcome.FAILED
    assert trial.reason.startswith("backlog grew by")
    assert not trial.passed


def test_a_queue_that_grows_is_a_backlog():
    grows = [
        dataclasses.replace(one, queue_octets=int(max(0, one.at - 100) * 6000)) for one in samples()
    ]
    assert "backlog grew by" in outcome(samples_=grows)[0].reason


def test_a_high_queue_that_does_not_grow_passes():
    assert outcome(samples_=samples(queue=60_000))[1] is Outcome.PASSED


@pytest.mark.parametrize(
    ("sent_", "collected_", "samples_", "said", "reason"),
    [
        (
            sent(),
            collected(delivered=8999, losses={"kernel_dropped": 3, "queue_full": 0}),
            samples(),
            Outcome.FAILED,
            "lost: kernel_dropped 3",
        ),
        (
            sent(),
            collected(delivered=8999),
            samples(),
            Outcome.FAILED,
            "delivered 8,999 of 9,000 records sent",
        ),
        (
            sent(),
            collected(delivered=9001),
            samples(),
            Outcome.FAILED,
            "delivered 9,001 of 9,000 records sent",
        ),
        (sent(), collected(in_flight=2), samples(), Outcome.FAILED, "2 records still in flight"),
        (sent(), collected(), samples(fill=500), Outcome.FAILED, "receive buffer 50% full"),
        (
            sent(sent_fps=990.0),
            collected(),
            samples(),
            Outcome.TESTER,
            "the tester offered 99.0% of the load",
        ),
        (sent(unsent=1), collected(), samples(), Outcome.TESTER, "the tester offered"),
        (
            sent(sent_fps=990.0),
            collected(losses={"kernel_dropped": 1}),
            samples(),
            Outcome.FAILED,
            "lost: kernel_dropped 1",
        ),
    ],
)
def test_why_a_trial_does_not_pass(sent_, collected_, samples_, said, reason):
    trial, got = outcome(sent_, collected_, samples_)
    assert got is said
    assert trial.reason.startswith(reason)
    assert trial.passed is False


def test_no_samples_is_no_backlog_and_all_of_the_cpu():
    trial, said = outcome(samples_=[])
    assert said is Outcome.PASSED
    assert trial.cpu_seconds == 1.5
