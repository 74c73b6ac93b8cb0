"""
Stands in for `clarion collect` and `clarion loadgen`: the same lines, no traffic to speak of.

The load generator tells the collector in one datagram what it pretends to send; the collector
pretends to take FAKE_CAPACITY records a second, to hold FAKE_BUFFER records beyond that, and to
lose the rest. FAKE_TESTER is what the load generator manages; FAKE_BREAK names what goes wrong.
"""

import json
import os
import signal
import socket
import sys
import time

CAPACITY = float(os.environ.get("FAKE_CAPACITY", "1e6"))
BUFFER = float(os.environ.get("FAKE_BUFFER", "1000"))
TESTER = float(os.environ.get("FAKE_TESTER", "1e9"))
BREAK = os.environ.get("FAKE_BREAK", "")
RCVBUF = 1_000_000


def option(name, default=None):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def say(values, file=sys.stderr):
    print(json.dumps(values), file=file, flush=True)


def collect():
    if BREAK == "collect":
        sys.exit("clarion: cannot bind: address in use")
    if BREAK == "silent":
        time.sleep(60)
    wanted = []
    signal.signal(signal.SIGTERM, lambda *_: wanted.append("stop"))
    socket_ = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    socket_.bind(("127.0.0.1", 0))
    socket_.settimeout(0.02)
    say({"event": "ready", "netflow_port": socket_.getsockname()[1], "ipfix_port": 1})
    load, began = None, 0.0
    until = time.monotonic() + float(option("--duration").removesuffix("s"))
    while not wanted and time.monotonic() < until:
        try:
            load, began = json.loads(socket_.recv(1000)), time.monotonic()
            if BREAK == "dies":
                sys.exit("clarion: out of memory")
        except TimeoutError:
            pass
        say(progress(load, time.monotonic() - began))
    if BREAK == "deaf":
        time.sleep(60)
    received, lost, _ = account(load, 1e9)
    say(
        {
            "event": "summary",
            "records_received": received,
            "records_delivered": received - (1 if BREAK == "one" else 0),
            "in_flight": 0,
            "losses": {"kernel_dropped": lost},
            "cpu_seconds": 0.4 + received * 1e-6,
            "peak_rss_bytes": 1000,
        },
        file=sys.stdout,
    )


def account(load, seconds):
    """Records received, lost, and held after `seconds` of the load."""
    if load is None:
        return 0, 0, 0
    sent = load["fps"] * min(seconds, load["seconds"])
    lost = max(0.0, load["fps"] * load["seconds"] - CAPACITY * load["seconds"] - BUFFER)
    received = min(sent, CAPACITY * seconds)
    if seconds > load["seconds"] + 1:
        received = sent - lost
    return round(received), round(lost), max(0.0, min(sent - received, BUFFER))


def progress(load, seconds):
    received, _, held = account(load, seconds)
    return {
        "event": "progress",
        "datagrams_received": received // 24,
        "records_received": received,
        "socket_fill": held / BUFFER * RCVBUF if held >= 1 else 0,
        "rcvbuf": RCVBUF if BREAK != "large" else RCVBUF * 100,
        "queue_octets": 0,
        "cpu_seconds": 0.4 + received * 1e-6,
    }


def loadgen():
    if BREAK == "loadgen":
        sys.exit("clarion: cannot send: network unreachable")
    fps, seconds = float(option("--fps")), float(option("--duration").removesuffix("s"))
    host, _, port = option("--target").partition(":")
    sent_fps = min(fps, TESTER)
    load = {"fps": sent_fps, "seconds": seconds}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as socket_:
        socket_.sendto(json.dumps(load).encode(), (host, int(port)))
    time.sleep(seconds)
    records = round(sent_fps * seconds)
    say(
        {
            "event": "summary",
            "intended_fps": fps,
            "sent_fps": records / seconds,
            "records_sent": records,
            "records_unsent": round(fps * seconds) - records,
            "records_per_datagram": 24,
            "datagrams_sent": records // 24,
            "octets_sent": records * 60,
            "seconds": seconds,
        },
        file=sys.stdout,
    )
    sys.exit(1 if fps > sent_fps else 0)


{"collect": collect, "loadgen": loadgen}[sys.argv[1]]()
