import io
import json
import time

from clarion.collector.progress import Progress, Reporter

LOOK = Progress(
    seconds=2.0,
    datagrams_received=100,
    records_received=2400,
    records_delivered=2000,
    in_flight=390,
    kernel_dropped=0,
    queue_full=10,
    lost={"kernel_dropped": 0, "queue_full": 10},
    socket_fill=4096,
    rcvbuf=8192,
    queue_octets=1000,
    cpu_seconds=0.5,
    rss_bytes=100 << 20,
)
CONTRACT = {
    "event", "seconds", "datagrams_received", "records_received", "records_delivered",
    "in_flight", "kernel_dropped", "socket_fill", "rcvbuf", "cpu_seconds", "rss_bytes",
}  # fmt: skip


def report(seconds, **settings):
    err = io.StringIO()
    with Reporter(lambda: LOOK, err=err, **settings):
        time.sleep(seconds)
    return err.getvalue().splitlines()


def test_json_lines_have_the_names_of_the_contract():
    lines = report(0.2, interval_s=0.02, json_lines=True)

    assert 3 <= len(lines) <= 11
    assert json.loads(lines[0]).keys() >= CONTRACT
    assert json.loads(lines[0])["event"] == "progress"


def test_plain_lines_name_losses():
    lines = report(0.1, interval_s=0.02, json_lines=False)

    assert "received 2,400  delivered 2,000  in flight 390  lost: queue_full 10" in lines[0]


def test_rate_is_since_the_last_look():
    before = Progress(
        **{
            **{name: getattr(LOOK, name) for name in LOOK.__slots__},
            "seconds": 1.0,
            "records_received": 400,
            "cpu_seconds": 0.25,
        }
    )

    assert "2000/s records" in LOOK.line(before)
    assert "cpu 25%" in LOOK.line(before)


def test_zero_interval_is_silent():
    assert report(0.05, interval_s=0, json_lines=True) == []


def test_closed_stderr_ends_it_quietly():
    err = io.StringIO()
    with Reporter(lambda: LOOK, interval_s=0.01, json_lines=True, err=err):
        err.close()
        time.sleep(0.05)
