"""Ending a run on SIGINT or SIGTERM, so that it still says what it sent."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """
    Give a function that tells whether a signal came; the handlers are put back afterwards.

    A second signal acts as it would without us, for a run that does not end.
    """
    stopped = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        restore()

    for number in before:
        signal.signal(number, handle)
    try:
        yield lambda: stopped
    finally:
        restore()
