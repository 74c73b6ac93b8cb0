"""The HTTP sink against a backend that checks every field and fails as told."""

import logging
import time

import pytest

from clarion.collector.sinks import SinkSettings, open_sink
from tests.backend_contract import Answer, ContractBackend

pytestmark = pytest.mark.net

FAST = {"retry_backoff_s": 0.02, "timeout_s": 5.0, "close_timeout_s": 10.0}


@pytest.fixture
def backend():
    with ContractBackend() as backend:
        yield backend
    assert backend.violations == []


def settings(**others) -> SinkSettings:
    return SinkSettings(**{**FAST, **others})


def wait_until(condition, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def errors(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]


def test_every_row_arrives_as_the_contract_says(backend, flows, account):
    sink = open_sink(backend.url, settings(batch_size=100))
    sink.write(flows(250, exporters=("192.0.2.1", "2001:db8::7")))
    sink.write(flows(50, first=250, exporters=("192.0.2.2",)))
    sink.close()
    sink.close()

    assert account(sink, 300) == (300, 0, 0)
    assert sorted(row["bytes"] for row in backend.rows) == list(range(300))
    assert sorted(backend.body_rows) == [25, 25, 50, 100, 100]
    row = min(backend.rows, key=lambda row: row["bytes"])
    assert row == {
        "src_ip": "10.0.0.0",
        "dst_ip": "2001:db8::1",
        "src_port": 0,
        "dst_port": 443,
        "protocol": 6,
        "bytes": 0,
        "packets": 1,
        "flow_start": 1_789_999_998,
        "flow_end": 1_790_000_000,  # absent: the export time
        "switch_id": "192.0.2.1",
        "src_sgt": None,
        "dst_sgt": None,
        "src_mac": "00:00:5e:00:53:01",
        "dst_mac": None,
        "vlan_id": None,
    }
    assert set(backend.keys.values()) == {1}


@pytest.mark.parametrize("path", ["", "/", "/api/netflow/netflow", "/api/netflow/netflow/"])
def test_url_with_and_without_the_path(path, backend, flows, account):
    sink = open_sink(backend.url + path, settings())
    sink.write(flows(1))
    sink.close()

    assert account(sink, 1) == (1, 0, 0)


def test_user_info_becomes_basic_authentication(backend, flows, caplog):
    caplog.set_level(logging.DEBUG)
    sink = open_sink(backend.url.replace("//", "//me:secret@"), settings())
    sink.write(flows(1))
    sink.close()

    assert backend.headers[0]["Authorization"] == "Basic bWU6c2VjcmV0"
    assert "secret" not in sink.name
    assert "secret" not in caplog.text


def test_full_bodies_go_at_once_and_others_after_the_interval(backend, flows, account):
    sink = open_sink(backend.url, settings(batch_size=100, batch_interval_s=5.0))
    started = time.monotonic()
    sink.write(flows(130))
    wait_until(lambda: sink.delivered == 100)
    assert account(sink, 130) == (100, 0, 30)
    sink.tick(started + 4.9)
    assert backend.requests == 1
    sink.tick(time.monotonic() + 5.0)
    wait_until(lambda: sink.delivered == 130)
    sink.close()

    assert backend.body_rows == [100, 30]


def test_several_requests_at_the_same_time(flows, account):
    with ContractBackend(always=Answer.HANG) as backend:
        sink = open_sink(backend.url, settings(batch_size=10, requests_in_flight=3, timeout_s=30))
        sink.write(flows(100))
        backend.wait_for_requests(3)
        time.sleep(0.05)
        assert backend.requests == 3
        assert account(sink, 100) == (0, 0, 100)
        backend.always = Answer()
    with backend:  # again, on the same port
        sink.close()
        assert account(sink, 100) == (100, 0, 0)
        assert backend.stored_rows == 100


@pytest.mark.parametrize(
    "answers",
    [
        [Answer(500)] * 3,
        [Answer(503), Answer(502), Answer(504), Answer(503)],
        [Answer(429)] * 5,
        [Answer.CLOSE] * 5,
        [Answer(500), Answer(503), Answer.CLOSE, Answer(500)],
    ],
)
def test_a_passing_fault_loses_nothing(answers, backend, flows, account, caplog):
    backend.script(*answers)
    sink = open_sink(backend.url, settings(batch_size=100, requests_in_flight=1))
    sink.write(flows(100))
    sink.close()

    assert account(sink, 100) == (100, 0, 0)
    assert backend.stored_rows == 100
    assert list(backend.keys.values()) == [len(answers) + 1]  # one key for all attempts
    assert errors(caplog) == []


def test_an_answer_that_comes_too_late_is_not_stored_twice(backend, flows, account):
    backend.script(Answer.LATE)
    sink = open_sink(backend.url, settings(timeout_s=0.2))
    sink.write(flows(10))
    sink.close()

    assert account(sink, 10) == (10, 0, 0)
    assert list(backend.keys.values()) == [2]
    assert backend.stored_rows == 10


def test_a_body_the_backend_fails_on_is_given_up(backend, flows, account, caplog):
    backend.script(*[Answer(500)] * 4)
    sink = open_sink(backend.url, settings(batch_size=10, requests_in_flight=1, retry_attempts=3))
    sink.write(flows(10))
    wait_until(lambda: sink.failed == 10)
    sink.write(flows(10, first=10))
    sink.close()

    assert account(sink, 20) == (10, 10, 0)
    assert [row["bytes"] for row in backend.rows] == list(range(10, 20))
    [error] = errors(caplog)
    assert "answered 500 Internal Server Error; rows lost=10" in error


@pytest.mark.parametrize("status", [400, 404, 413, 301, 204])
def test_any_other_answer_fails_the_body_at_once(status, backend, flows, account, caplog):
    backend.always = Answer(status, body=b"")
    sink = open_sink(backend.url, settings(batch_size=10))
    sink.write(flows(100))
    sink.close()

    assert account(sink, 100) == (0, 100, 0)
    assert backend.requests == 10
    [error] = errors(caplog)  # one line, not one a body
    assert f"answered {status}" in error


def test_a_backend_that_took_fewer_than_sent(backend, flows, account, caplog):
    backend.always = Answer(body=b'{"status":"ok","records_received":7,"records_stored":7}')
    sink = open_sink(backend.url, settings())
    sink.write(flows(10))
    sink.close()

    assert account(sink, 10) == (7, 3, 0)
    assert "took fewer records than sent; rows lost=3" in errors(caplog)[0]


@pytest.mark.parametrize("body", [b"", b"null", b"ok", b"[]", b'{"records_received":"x"}'])
def test_an_answer_that_does_not_count(body, backend, flows, account):
    backend.always = Answer(body=body)
    sink = open_sink(backend.url, settings())
    sink.write(flows(10))
    sink.close()

    assert account(sink, 10) == (10, 0, 0)


def test_retry_after_is_honoured(backend, flows, account):
    backend.script(Answer(429, retry_after="1"))
    sink = open_sink(backend.url, settings(batch_size=10))
    sink.write(flows(10))
    wait_until(lambda: sink.delivered == 10)
    sink.close()

    first, second = backend.request_times
    assert 0.95 <= second - first < 3
    assert account(sink, 10) == (10, 0, 0)


def test_a_backend_that_is_down_and_comes_back(flows, account, caplog):
    caplog.set_level(logging.INFO, "clarion")
    with ContractBackend() as backend:
        pass  # a free port, now closed
    sink = open_sink(backend.url, settings(batch_size=10, retry_attempts=1))
    sink.write(flows(500))
    wait_until(lambda: "cannot be reached" in caplog.text)
    time.sleep(0.3)
    assert account(sink, 500) == (0, 0, 500)
    with backend:
        wait_until(lambda: sink.delivered == 500)
        sink.close()

    assert account(sink, 500) == (500, 0, 0)
    assert sorted(row["bytes"] for row in backend.rows) == list(range(500))
    assert backend.violations == []
    messages = [r.getMessage() for r in caplog.records]
    assert sum("cannot be reached" in message for message in messages) == 1
    assert sum("is back" in message for message in messages) == 1


@pytest.mark.parametrize("bound", [{"pending_rows": 100}, {"pending_bytes": 25_000}])
def test_what_does_not_fit_is_lost_and_counted(bound, flows, account, caplog):
    with ContractBackend() as backend:
        pass
    sink = open_sink(backend.url, settings(batch_size=10, **bound))
    for n in range(20):
        sink.write(flows(50, first=50 * n))
    _, failed, pending = account(sink, 1000)
    assert 0 < pending <= 100
    assert failed == 1000 - pending
    assert sum("outbox is full" in error for error in errors(caplog)) == 1
    with backend:
        sink.close()
    assert account(sink, 1000) == (pending, failed, 0)
    assert backend.stored_rows == pending


@pytest.mark.parametrize("fault", ["down", "hang"])
def test_close_ends_in_bounded_time(fault, flows, account, caplog):
    with ContractBackend(always=Answer.HANG) as backend:
        url = backend.url if fault == "hang" else "http://127.0.0.1:9"
        sink = open_sink(url, settings(close_timeout_s=0.3, timeout_s=20))
        sink.write(flows(10))
        started = time.monotonic()
        sink.close()
        assert time.monotonic() - started < 2

        assert account(sink, 10) == (0, 10, 0)
        assert "rows lost=10" in errors(caplog)[-1]
    for thread in sink._threads:
        thread.join(10)
    sink._client.close()


@pytest.mark.slow
def test_random_faults_and_the_account_closes(backend, flows, account):
    answers = [Answer(500), Answer(503), Answer.CLOSE, Answer(429, retry_after="0"), Answer(400)]
    backend.script(*(answers[n * n % 5] if n % 3 else Answer() for n in range(200)))
    sink = open_sink(backend.url, settings(batch_size=7, retry_backoff_s=0.002))
    for n in range(100):
        sink.write(flows(13, first=13 * n, exporters=("192.0.2.1", "192.0.2.2", "192.0.2.3")))
        account(sink, 13 * (n + 1))
        sink.tick(time.monotonic() + (n % 10) * 2)
    sink.close()

    delivered, failed, pending = account(sink, 1300)
    assert pending == 0
    assert delivered == backend.stored_rows
    assert failed > 0
    numbers = [row["bytes"] for row in backend.rows]
    assert len(numbers) == len(set(numbers))
