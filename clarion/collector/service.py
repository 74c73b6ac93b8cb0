"""
A collector from settings to summary: open, run, drain, account.

Sockets are opened apart from the loop that reads them, so that they may come from elsewhere.
"""

import contextlib
import gc
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa

from clarion.collector.config import CollectorConfig
from clarion.collector.delivery import Delivery, Lane
from clarion.collector.handover import HandoverQueue
from clarion.collector.ledger import Ledger
from clarion.collector.pipeline import Intake
from clarion.collector.progress import Reporter, look, peak_rss_bytes
from clarion.collector.sinks import SinkSettings, open_sink
from clarion.errors import UsageError
from clarion.flows.normalize import Normalizer
from clarion.net.receive import Receiver
from clarion.net.sockets import Listener, open_listener
from clarion.wire.batch import DatagramBatch
from clarion.wire.constants import V5, V5_HEADER, V5_RECORD
from clarion.wire.decode import Decoder

_log = logging.getLogger(__name__)

# Flow records that become columns together, and how long the first of them waits for the others.
CHUNK_ROWS: Final = 65_536
CHUNK_S: Final = 0.5
# Seconds for which the delivery thread may keep the interpreter from the receive thread.
SWITCH_S: Final = 0.001
# Seconds that reading what the sockets still hold may take at the end.
DRAIN_S: Final = 5.0


class Stop:
    """What SIGTERM and SIGINT ask for: the first to drain, the second to end at once."""

    def __init__(self) -> None:
        self.asked = 0

    def draining(self) -> bool:
        """Whether to stop receiving."""
        return self.asked > 0

    def at_once(self) -> bool:
        """Whether to leave what is not delivered."""
        return self.asked > 1

    @contextlib.contextmanager
    def on_signals(self, receiver: Receiver) -> Iterator[None]:
        """Count the signals while inside, each waking the receiver. Main thread only."""

        def ask(number: int, frame: object) -> None:
            self.asked += 1

        kinds = (signal.SIGTERM, signal.SIGINT)
        before = [signal.signal(kind, ask) for kind in kinds]
        wake_before = signal.set_wakeup_fd(receiver.wake_descriptor, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wake_before)
            for kind, handler in zip(kinds, before, strict=True):
                signal.signal(kind, handler)


def collect(config: CollectorConfig, *, json_lines: bool = False) -> tuple[dict[str, Any], bool]:
    """
    Collect until told to stop; return the summary, and whether a sink was left unfinished.

    Runs in the main thread. Raises NetError, SinkError and UsageError before it is ready.
    """
    started = time.monotonic()
    _pin(config.cpu_affinity)
    # Arrow's own allocator keeps what it freed: a quarter more resident at the same speed.
    pa.set_memory_pool(pa.system_memory_pool())
    stop = Stop()
    with contextlib.ExitStack() as stack:
        listeners = open_listeners(config)
        for listener in listeners:
            stack.callback(listener.close)
        receiver = stack.enter_context(Receiver(listeners))
        stack.enter_context(stop.on_signals(receiver))
        queue = HandoverQueue(config.queue_octets)
        intake = Intake(
            receiver,
            Decoder(),
            queue,
            chunk_rows=CHUNK_ROWS,
            chunk_s=min(CHUNK_S, config.batch_interval),
        )
        delivery = Delivery(
            queue,
            Normalizer(switch_id_from_ip=config.switch_id_from_ip),
            open_lanes(config),
            tick_s=min(0.5, max(0.01, config.batch_interval / 2)),
        )
        ledger = Ledger(listeners=listeners, intake=intake, queue=queue, delivery=delivery)
        _warm_up()
        stack.enter_context(_short_pauses())
        delivery.start()
        _say_ready(config, listeners, delivery.lanes)
        interval = config.progress_interval
        if interval is None:
            interval = 1.0 if sys.stderr.isatty() and not json_lines else 10.0
        until = started + config.duration if config.duration is not None else float("inf")
        with Reporter(lambda: look(ledger, started), interval_s=interval, json_lines=json_lines):
            intake.run(stop.draining, until)
            intake.drain(stop.at_once, DRAIN_S)
            queue.close()
            while not stop.at_once() and not delivery.join(0.2):
                pass
        unfinished = stop.at_once() and not _give_up(delivery)
        summary = ledger.summary()
    summary["seconds"] = round(time.monotonic() - started, 3)
    summary["cpu_seconds"] = round(time.process_time(), 3)
    summary["peak_rss_bytes"] = peak_rss_bytes()
    return summary, unfinished


def open_listeners(config: CollectorConfig) -> list[Listener]:
    """Open the sockets of the NetFlow, IPFIX and sFlow ports, one where they are the same."""
    listeners: list[Listener] = []
    try:
        for port in _distinct(config):
            listeners.append(  # noqa: PERF401  # those opened are closed when the next one fails
                open_listener(config.bind_host, port, receive_buffer=config.udp_rcvbuf)
            )
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    buffer = listeners[0].buffer
    if buffer.capped:
        _log.warning(
            'receive buffer capped requested_bytes=%d granted_bytes=%d remedy="%s"',
            buffer.requested, buffer.granted, buffer.remedy,
        )  # fmt: skip
    return listeners


def _distinct(config: CollectorConfig) -> list[int]:
    """Return the ports to open, in the order asked for; 0, any free one, is never the same."""
    ports: list[int] = []
    for port in (config.netflow_port, config.ipfix_port, config.sflow_port):
        if not port or port not in ports:
            ports.append(port)
    return ports


def _bound_ports(config: CollectorConfig, listeners: Sequence[Listener]) -> dict[str, int]:
    """Return the real port of each of the three."""
    free = (
        listener.port
        for listener, port in zip(listeners, _distinct(config), strict=True)
        if not port
    )
    wanted = {
        "netflow_port": config.netflow_port,
        "ipfix_port": config.ipfix_port,
        "sflow_port": config.sflow_port,
    }
    return {name: port or next(free) for name, port in wanted.items()}


def open_lanes(config: CollectorConfig) -> list[Lane]:
    """Open every sink; when one fails, those opened are closed."""
    settings = SinkSettings(
        batch_size=config.batch_size,
        batch_interval_s=config.batch_interval,
        retry_attempts=config.retry_attempts,
        retry_backoff_s=config.retry_backoff,
    )
    lanes: list[Lane] = []
    try:
        lanes.extend(Lane(open_sink(uri, settings)) for uri in config.sinks)
    except BaseException:
        for lane in lanes:
            lane.close()
        raise
    return lanes


def _say_ready(
    config: CollectorConfig, listeners: Sequence[Listener], lanes: Sequence[Lane]
) -> None:
    buffer = listeners[0].buffer
    ready = {
        "event": "ready",
        **_bound_ports(config, listeners),
        "bind_host": config.bind_host,
        "rcvbuf": {
            "requested": buffer.requested,
            "granted": buffer.granted,
            "capped": buffer.capped,
        },
        "sinks": [lane.name for lane in lanes],
        "pid": os.getpid(),
    }
    print(json.dumps(ready), file=sys.stderr, flush=True)


def _pin(cpu: int | None) -> None:
    if cpu is None:
        return
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError as err:
        allowed = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        raise UsageError(f"--cpu-affinity: no CPU {cpu} here; choose of {allowed}") from err


def _warm_up() -> None:
    """Decode and normalise one record, so that tables are made before the first datagram."""
    header = V5.to_bytes(2, "big") + (1).to_bytes(2, "big")
    datagram = header.ljust(V5_HEADER, b"\0") + bytes(V5_RECORD)
    for records in Decoder().decode(DatagramBatch.of([datagram])).records:
        Normalizer().normalize(records)


@contextlib.contextmanager
def _short_pauses() -> Iterator[None]:
    """
    Keep the interpreter from holding up the receive thread while inside.

    What lives as long as the process is not walked for garbage; and the delivery thread gives way
    sooner: in place of 5 ms, 1 ms halves the most that ever waits in the socket, for 3 % of CPU.
    """
    before = sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
        gc.unfreeze()


def _give_up(delivery: Delivery) -> bool:
    """End the delivery thread without flushing; whether it ended."""
    delivery.abort.set()
    return delivery.join(1.0)
