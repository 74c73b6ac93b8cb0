"""
The ledger: where every record went.

    records_received == records_delivered + in_flight + the losses counted in records

Datagrams and sets that never became records are losses in their own unit. With several sinks a
record is delivered when the slowest of them has acknowledged it, and lost when any lost it:
delivered is the least, failed the most of theirs.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from clarion.collector.delivery import Delivery, Lane
from clarion.collector.handover import HandoverQueue
from clarion.collector.pipeline import Intake
from clarion.net.sockets import Listener


class Bucket(NamedTuple):
    """A way to be lost: the unit it is counted in, and what it means."""

    unit: str
    meaning: str


BUCKETS: Final[dict[str, Bucket]] = {
    "kernel_dropped": Bucket("datagrams", "the socket's receive buffer was full"),
    "truncated": Bucket("datagrams", "longer than a receive slot"),
    "malformed": Bucket("datagrams", "no usable NetFlow, IPFIX or sFlow header"),
    "refused": Bucket("datagrams", "from one exporter or domain too many"),
    "decode_failed": Bucket("datagrams", "a fault of the decoder; see the log"),
    "rejected": Bucket("sets", "a length that does not fit its datagram"),
    "no_template": Bucket("sets", "the template never came"),
    "queue_full": Bucket("records", "the sinks were slower than the exporters for too long"),
    "normalize_failed": Bucket("records", "a fault of the normalizer; see the log"),
    "sink_failed": Bucket("records", "a sink gave them up"),
}


class Account(NamedTuple):
    """The record side of the ledger at one moment."""

    received: int
    delivered: int
    in_flight: int
    losses: dict[str, int]


@dataclass(kw_only=True, slots=True)
class Ledger:
    """Reads the counters of every part; holds none of its own."""

    listeners: Sequence[Listener]
    intake: Intake
    queue: HandoverQueue
    delivery: Delivery
    # Drops of sockets that are closed.
    closed_drops: int = 0

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The sinks' accounts."""
        return self.delivery.lanes

    def kernel_dropped(self) -> int:
        """Datagrams that found a socket's buffer full, of all sockets."""
        return self.closed_drops + sum(one.gauge().dropped for one in self.listeners)

    def datagrams_received(self) -> int:
        """Datagrams read from the sockets."""
        return self.intake.receiver.datagrams + self.intake.receiver.truncated

    def account(self) -> Account:
        """
        Return received, delivered, in flight and lost, as of now; any thread may.

        What moves on while it is read is still in flight here: received is read last.
        """
        tally = self.intake.tally
        delivered = self._of_lanes(min, "delivered")
        losses = {
            "kernel_dropped": self.kernel_dropped(),
            "truncated": self.intake.receiver.truncated,
            "malformed": tally.malformed,
            "refused": tally.refused,
            "decode_failed": self.intake.decode_failed,
            "rejected": tally.sets_rejected,
            "no_template": tally.sets_lost,
            "queue_full": self.intake.queue_full,
            "normalize_failed": self.delivery.normalize_failed,
            "sink_failed": self._of_lanes(max, "failed"),
        }
        lost = sum(n for name, n in losses.items() if BUCKETS[name].unit == "records")
        received = self.intake.tally.records
        return Account(received, delivered, received - delivered - lost, losses)

    def held(self) -> int:
        """
        Count the records in flight where they are; when all is at rest this is `in_flight`.

        Pending in the receive thread, queued or being delivered, and held by the slowest sink.
        """
        accepted = self._of_lanes(max, "accepted")
        sinks = accepted - self._of_lanes(min, "delivered") - self._of_lanes(max, "failed")
        return self.intake.pending.rows + self.queue.rows + sinks

    def summary(self) -> dict[str, Any]:
        """Return the contract's summary and what else is known, ready for JSON."""
        tally = self.intake.tally
        account = self.account()
        # Nothing will come for the sets that still wait.
        losses = account.losses | {"no_template": tally.sets_lost + tally.sets_waiting}
        return {
            "event": "summary",
            "datagrams_received": self.datagrams_received(),
            "records_received": account.received,
            "records_delivered": account.delivered,
            "in_flight": account.in_flight,
            "losses": losses,
            "loss_units": {name: bucket.unit for name, bucket in BUCKETS.items()},
            "unaccounted": account.in_flight - self.held(),
            "options_records": tally.options_records,
            "late_records": tally.late_records,
            "templates": self.intake.templates,
            "datagrams_by_version": {
                "v1": tally.datagrams_v1,
                "v5": tally.datagrams_v5,
                "v7": tally.datagrams_v7,
                "v9": tally.datagrams_v9,
                "ipfix": tally.datagrams_ipfix,
                "sflow": tally.datagrams_sflow,
            },
            "counter_samples": tally.counter_samples,
            # What the exporters' sequence numbers say was lost on the way here, or in the socket.
            "sequence": asdict(self.intake.sequence.table().totals()),
            "octets_received": self.intake.receiver.octets,
            "receive_batches": self.intake.receiver.batches,
            "queue_peak_octets": self.queue.peak_octets,
            "sinks": [
                {
                    "sink": lane.name,
                    "accepted": lane.accepted,
                    "delivered": lane.delivered,
                    "failed": lane.failed,
                    "pending": lane.pending,
                }
                for lane in self.lanes
            ],
            "exporters": len({session.address for session in self.intake.decoder.sessions}),
            "top_exporters": self.intake.exporters.top(self.intake.decoder.sessions),
        }

    def _of_lanes(self, choose: Callable[[list[int]], int], name: str) -> int:
        return choose([getattr(lane, name) for lane in self.lanes] or [0])
