"""
Flows posted to the existing backend's API.

Rule: `write` never waits for the backend. Bodies go to an outbox of bounded rows and octets, and a
few threads post them. While the backend cannot be reached nothing is given up: bodies wait, one
at a time tries again, and only what does not fit in the outbox is lost, counted and logged.
"""

import email.utils
import http
import logging
import math
import threading
import time
import uuid
from typing import Final

import httpx
import pyarrow as pa

from clarion.collector.sinks.bodies import BodyCutter
from clarion.collector.sinks.outbox import Outbox, Parcel
from clarion.collector.sinks.settings import SinkSettings
from clarion.errors import UsageError

log = logging.getLogger(__name__)

_PATH: Final = "/api/netflow/netflow"
# Answers that say nothing of this body: a gateway without its backend, or too many requests.
_BUSY: Final = frozenset({429, 502, 503, 504})
_SHORTEST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 60.0
_JOIN_S: Final = 0.5
# The same complaint is logged once in so long.
_QUIET_S: Final = 60.0
_QUIET_FLAPPING_S: Final = 5.0


class HttpSink:
    """
    Bodies of one exporter's rows, posted to `{base}/api/netflow/netflow`.

    - 200: delivered; if it says `records_received`, so many of the rows.
    - no connection, no answer in time, 429, 502, 503, 504: sending pauses (Retry-After, else
      retry_backoff_s doubled each time, at most 60 s), then one body at a time probes.
    - other 5xx: this body is tried retry_attempts times again, then its rows have failed.
    - any other answer: its rows have failed.

    Every attempt of a body carries the same Idempotency-Key.

    Args:
        url: base URL, or one that ends in the API's path; user-info becomes basic authentication.
        settings: all but those of files are used.

    Raises:
        UsageError: the URL is not one.

    """

    def __init__(self, url: str, settings: SinkSettings) -> None:
        try:
            base = httpx.URL(url)
        except httpx.InvalidURL as err:
            raise UsageError(f"bad URL of a sink: {err}; wanted http://HOST[:PORT]") from err
        if not base.host:
            raise UsageError(f"no host in the sink {base.scheme}://…; wanted http://HOST[:PORT]")
        auth = httpx.BasicAuth(base.username, base.password) if base.userinfo else None
        base = base.copy_with(userinfo=b"")
        self.name = str(base.copy_with(query=None, fragment=None))
        path = base.path.rstrip("/")
        self._url = base.copy_with(path=path if path.endswith(_PATH) else path + _PATH)
        self._settings = settings
        self._cutter = BodyCutter(settings.batch_size)
        self._outbox = Outbox(
            max_rows=settings.pending_rows,
            max_bytes=settings.pending_bytes,
            clock=settings.clock,
        )
        self._accepted = 0
        self._closed = False
        self._oldest: float | None = None  # when the oldest row in the cutter came
        self._key = uuid.uuid4().hex
        self._bodies = 0
        self._complaints: dict[str, float] = {}
        self._saying = threading.Lock()
        self._said_down = False
        self._said_at = -math.inf
        self._client = httpx.Client(
            auth=auth,
            timeout=settings.timeout_s,
            limits=httpx.Limits(max_connections=settings.requests_in_flight),
            headers={"Content-Type": "application/json"},
        )
        self._threads = [
            threading.Thread(target=self._post_all, name=f"http-sink-{n}", daemon=True)
            for n in range(settings.requests_in_flight)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def delivered(self) -> int:
        """Rows that the backend answered with 200."""
        return self._outbox.delivered

    @property
    def failed(self) -> int:
        """Rows that the backend refused, or that did not fit while it was down."""
        return self._outbox.failed

    @property
    def pending(self) -> int:
        """Rows waiting for their body to fill, in the outbox, or in flight."""
        return self._accepted - self._outbox.delivered - self._outbox.failed

    def write(self, flows: pa.RecordBatch) -> None:
        """Accept R rows; bodies that are full go to the outbox."""
        if not len(flows):
            return
        if self._oldest is None:
            self._oldest = self._settings.clock()
        self._accepted += len(flows)
        self._cutter.add(flows)
        if self._cutter.worth_cutting:
            self._cut(everything=False)

    def tick(self, now: float) -> None:
        """Send bodies that are not full when a row has waited for batch_interval_s."""
        if self._oldest is not None and now - self._oldest >= self._settings.batch_interval_s:
            self._cut(everything=True)

    def close(self) -> None:
        """Send what is left, for at most close_timeout_s; what is not answered then has failed."""
        if self._closed:
            return
        self._closed = True
        self._cut(everything=True)
        lost = self._outbox.close(self._settings.close_timeout_s)
        if lost:
            log.error(
                "closing %s: no answer within %g s; rows lost=%d",
                self.name,
                self._settings.close_timeout_s,
                lost,
            )
        # The threads end at once, but for one that still waits for an answer.
        deadline = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        # That one keeps the client; it ends with its timeout.
        if not any(thread.is_alive() for thread in self._threads):
            self._client.close()

    def _cut(self, *, everything: bool) -> None:
        """Move bodies from the cutter to the outbox."""
        lost = 0
        for body in self._cutter.cut(everything=everything):
            self._bodies += 1
            parcel = Parcel(body.content, body.rows, f"{self._key}-{self._bodies}")
            if not self._outbox.put(parcel):
                lost += body.rows
        if not self._cutter.rows:
            self._oldest = None
        if lost:
            self._complain("the outbox is full", lost, "the backend is too slow, or down")

    def _post_all(self) -> None:
        """Post parcels until the outbox is closed; a sending thread's body."""
        while (parcel := self._outbox.take()) is not None:
            try:
                self._post(parcel)
            except Exception:
                log.exception("cannot post to %s; rows lost=%d", self.name, parcel.rows)
                self._outbox.settle(parcel, delivered=0)

    def _post(self, parcel: Parcel) -> None:
        """Post one parcel and settle or postpone it by the answer."""
        try:
            answer = self._client.post(
                self._url, content=parcel.content, headers={"Idempotency-Key": parcel.key}
            )
        except httpx.RequestError as err:
            self._pause(parcel, str(err) or type(err).__name__, None)
            return
        status = answer.status_code
        if status in _BUSY:
            self._pause(parcel, _phrase(status), _retry_after(answer, self._settings.wall_clock()))
        elif status >= 500 and parcel.refusals < self._settings.retry_attempts:
            parcel.refusals += 1
            wait_s = self._settings.retry_backoff_s * 2 ** (parcel.refusals - 1)
            self._outbox.postpone(parcel, wait_s)
        else:
            arrived = _received(answer, parcel.rows) if status == 200 else 0
            self._outbox.settle(parcel, delivered=arrived)
            self._say_up()
            if status != 200:
                self._complain(_phrase(status), parcel.rows, "see the backend's log")
            elif arrived < parcel.rows:
                self._complain("took fewer records than sent", parcel.rows - arrived, "see its log")

    def _pause(self, parcel: Parcel, reason: str, retry_after_s: float | None) -> None:
        """Postpone everything; say so when it is news."""

        def wait_s(pauses: int) -> float:
            doubled = self._settings.retry_backoff_s * 2.0 ** min(pauses, 16)
            wanted = doubled if retry_after_s is None else retry_after_s
            return min(max(wanted, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)

        self._outbox.postpone_all(parcel, wait_s)
        self._say_down(reason)

    def _say_down(self, reason: str) -> None:
        """Log that the backend cannot be reached: once, not each time when it comes and goes."""
        with self._saying:
            now = self._settings.clock()
            if self._said_down or now - self._said_at < _QUIET_FLAPPING_S:
                return
            self._said_down, self._said_at = True, now
        log.warning(
            "backend cannot be reached sink=%s: %s; rows wait, up to %d; is it running there?",
            self.name,
            reason,
            self._settings.pending_rows,
        )

    def _say_up(self) -> None:
        """Log that the backend answers again, if it was said that it did not."""
        if self._said_down:
            with self._saying:
                said, self._said_down = self._said_down, False
            if said:
                log.info("backend is back sink=%s; rows waiting=%d", self.name, self._outbox.rows)

    def _complain(self, what: str, rows: int, remedy: str) -> None:
        """Log a loss, the same kind at most once a minute."""
        now = self._settings.clock()
        if now - self._complaints.get(what, -_QUIET_S) >= _QUIET_S:
            self._complaints[what] = now
            log.error("%s: %s; rows lost=%d; %s", self.name, what, rows, remedy)


def _phrase(status: int) -> str:
    """Return a status as people know it: 503 Service Unavailable."""
    try:
        return f"answered {status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return f"answered {status}"


def _received(answer: httpx.Response, rows: int) -> int:
    """Return how many rows the backend says it received; all when it does not say."""
    try:
        received = answer.json()["records_received"]
    except (ValueError, KeyError, TypeError):
        return rows
    return min(max(received, 0), rows) if isinstance(received, int) else rows


def _retry_after(answer: httpx.Response, now: float) -> float | None:
    """Read Retry-After, seconds or a date (RFC 9110 10.2.3), as seconds from now."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
    except (TypeError, ValueError):
        return None
