"""
A backend for tests that holds every request to the contract, field by field and type by type.

    with ContractBackend() as backend:
        backend.script(Answer(503), Answer(429, retry_after="0"), Answer.HANG)
        ...  # point a sink at backend.url
    assert backend.violations == []

It stores the rows of what it answers 200, once for each idempotency key.
"""

import contextlib
import json
import socket
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import ClassVar

PATH = "/api/netflow/netflow"

LIMITS = {
    "src_port": 2**16,
    "dst_port": 2**16,
    "protocol": 2**8,
    "bytes": 2**64,
    "packets": 2**64,
    "flow_start": 2**32,
    "flow_end": 2**32,
    "src_sgt": 2**16,
    "dst_sgt": 2**16,
    "vlan_id": 2**16,
}
ADDRESSES = ("src_ip", "dst_ip", "switch_id")
MACS = ("src_mac", "dst_mac")
NAMES = [
    *("src_ip", "dst_ip", "src_port", "dst_port", "protocol", "bytes", "packets"),
    *("flow_start", "flow_end", "switch_id", "src_sgt", "dst_sgt", "src_mac", "dst_mac", "vlan_id"),
]
NEVER_NULL = frozenset(NAMES[:9])


def violations_of_record(record: object, switch_id: str | None) -> list[str]:
    """What is wrong with one record of a body."""
    if not isinstance(record, dict):
        return [f"record is {type(record).__name__}, wanted an object"]
    if list(record) != NAMES:
        return [f"record has keys {list(record)}, wanted {NAMES}"]
    found = []
    for name, value in record.items():
        if value is None:
            wrong = name in NEVER_NULL
        elif name in LIMITS:
            wrong = type(value) is not int or not 0 <= value < LIMITS[name]
        elif name in ADDRESSES:
            wrong = not _canonical_address(value)
        else:
            wrong = name in MACS and not _canonical_mac(value)
        if wrong:
            found.append(f"{name} is {value!r}")
    if record["switch_id"] != switch_id:
        found.append(f"record of {record['switch_id']} in a body of {switch_id}")
    return found


def violations_of_body(content: bytes) -> tuple[list[str], list[dict]]:
    """What is wrong with a body, and its records."""
    try:
        body = json.loads(content)
    except ValueError as err:
        return [f"body is not JSON: {err}"], []
    if not isinstance(body, dict) or set(body) != {"records", "switch_id"}:
        return ["body is not an object of records and switch_id"], []
    records, switch_id = body["records"], body["switch_id"]
    if not isinstance(records, list) or not records:
        return ["records is not a list of at least one"], []
    found = []
    if switch_id is not None and not _canonical_address(switch_id):
        found.append(f"switch_id is {switch_id!r}")
    for record in records:
        found += violations_of_record(record, switch_id)
    return found, records


def _canonical_address(value: object) -> bool:
    try:
        return isinstance(value, str) and str(ip_address(value)) == value
    except ValueError:
        return False


def _canonical_mac(value: object) -> bool:
    if not isinstance(value, str):
        return False
    with contextlib.suppress(ValueError):
        return bytes.fromhex(value.replace(":", "")).hex(":") == value and len(value) == 17
    return False


@dataclass(frozen=True)
class Answer:
    """How to answer one request: a status, or a fault of the connection."""

    status: int = 200
    retry_after: str | None = None
    fault: str = ""  # "hang": no answer; "close": the connection ends; "late": stored, no answer
    body: bytes | None = None

    HANG: ClassVar["Answer"]
    CLOSE: ClassVar["Answer"]
    LATE: ClassVar["Answer"]


Answer.HANG = Answer(fault="hang")
Answer.CLOSE = Answer(fault="close")
Answer.LATE = Answer(fault="late")


@dataclass
class ContractBackend:
    """
    The backend; a context manager that serves while it is open.

    Attributes:
        check: look at every record (some 10 us each); off for throughput.
        always: the answer when the script is over.
        rows: records stored, in the order they came.
        keys: how often each idempotency key came.
        body_rows: records of each stored body.

    """

    check: bool = True
    port: int = 0
    always: Answer = field(default_factory=Answer)
    rows: list[dict] = field(default_factory=list)
    stored_rows: int = 0
    body_rows: list[int] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    requests: int = 0
    request_times: list[float] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    keys: Counter = field(default_factory=Counter)

    def __post_init__(self):
        self._script: deque[Answer] = deque()
        self._lock = threading.Lock()
        self._stored: set[str] = set()
        self._released = threading.Event()
        self._sockets: set[socket.socket] = set()

    def script(self, *answers: Answer) -> None:
        """Answer the next requests so, one each, then `always`."""
        self._script.extend(answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "ContractBackend":
        backend = self

        class Handler(_Handler):
            owner = backend

        self._released.clear()
        self._server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            sockets = list(self._sockets)
        for connection in sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()  # waits for the handlers

    def wait_for_requests(self, count: int, timeout_s: float = 10) -> None:
        deadline = time.monotonic() + timeout_s
        while self.requests < count:
            assert time.monotonic() < deadline, f"{self.requests} requests, wanted {count}"
            time.sleep(0.005)

    def receive(self, handler: "_Handler", content: bytes) -> Answer:
        """Check and perhaps store one request; say how to answer."""
        with self._lock:
            self.requests += 1
            self.request_times.append(time.monotonic())
            self.headers.append(dict(handler.headers))
            answer = self._script.popleft() if self._script else self.always
            found = self._violations_of_request(handler)
            if self.check:
                of_body, records = violations_of_body(content)
                found += of_body
                count = len(records)
            else:
                records, count = [], content.count(b'{"src_ip"')
            self.violations += found
            key = handler.headers.get("Idempotency-Key", "")
            self.keys[key] += 1
            if found:
                return Answer(422)
            if answer.status == 200 and answer.fault in {"", "late"} and key not in self._stored:
                self._stored.add(key)
                self.rows += records
                self.stored_rows += count
                self.body_rows.append(count)
            if answer.status == 200 and answer.body is None:
                done = {"status": "ok", "records_received": count, "records_stored": count}
                return Answer(200, fault=answer.fault, body=json.dumps(done).encode())
            return answer

    def _violations_of_request(self, handler: "_Handler") -> list[str]:
        found = []
        if handler.path.partition("?")[0] != PATH:
            found.append(f"path {handler.path}, wanted {PATH}")
        if handler.headers.get("Content-Type") != "application/json":
            found.append(f"content type {handler.headers.get('Content-Type')}")
        if not handler.headers.get("Idempotency-Key"):
            found.append("no idempotency key")
        return found

    def hold(self) -> None:
        """Wait until the backend closes."""
        self._released.wait(30)

    def opened(self, connection: socket.socket, *, is_open: bool) -> None:
        with self._lock:
            (self._sockets.add if is_open else self._sockets.discard)(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A connection that ends early is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    owner: ContractBackend
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def setup(self):
        super().setup()
        self.owner.opened(self.connection, is_open=True)

    def finish(self):
        self.owner.opened(self.connection, is_open=False)
        super().finish()

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.owner.receive(self, content)
        if answer.fault in {"hang", "late"}:
            self.owner.hold()
        if answer.fault:
            self.close_connection = True
            return
        body = b"{}" if answer.body is None else answer.body
        head = [f"HTTP/1.1 {answer.status} X", f"Content-Length: {len(body)}"]
        if answer.retry_after is not None:
            head.append(f"Retry-After: {answer.retry_after}")
        self.wfile.write("\r\n".join([*head, "", ""]).encode() + body)

    def log_message(self, format, *args):  # noqa: A002
        """Nothing on stderr."""
