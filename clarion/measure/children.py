"""
A child process whose lines are read as they come, with the time they came at.

Rule: no child outlives its block, whatever ends it: asked first (SIGTERM), then killed.
"""

import contextlib
import json
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from clarion.errors import MeasurementError

_ASK_S = 5.0


@dataclass(frozen=True, slots=True)
class Event:
    """A JSON object a child printed, and our monotonic clock, in seconds, when it came."""

    at: float
    values: dict[str, Any]

    @property
    def name(self) -> str:
        """Its "event", empty if it has none."""
        return str(self.values.get("event", ""))


@dataclass(slots=True)
class Child:
    """A running child: the events of both its streams in order, and its last words."""

    name: str
    process: subprocess.Popen[str]
    events: list[Event] = field(default_factory=list)
    words: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _readers: list[threading.Thread] = field(default_factory=list)

    def listen(self) -> None:
        """Read both streams from now on."""
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
            reader.start()
            self._readers.append(reader)

    def wait_for(self, event: str, seconds: float) -> Event:
        """
        The first event of that name.

        Raises:
            MeasurementError: the child ended without it, or it did not come in time.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for one in self.events:
                    if one.name == event:
                        return one
                left = deadline - time.monotonic()
                over = not any(reader.is_alive() for reader in self._readers)
                if over or left <= 0:
                    break
                self._changed.wait(min(left, 0.1))
        if over:
            raise MeasurementError(self._ended(f"without its {event}"))
        raise MeasurementError(f"{self.name} gave no {event} in {seconds:g} s{self._last()}")

    def wait(self, seconds: float) -> int:
        """
        Its exit code, once it has ended and all it said is read.

        Raises:
            MeasurementError: it did not end in time.
        """
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise MeasurementError(
                f"{self.name} did not end in {seconds:g} s{self._last()}"
            ) from None
        for reader in self._readers:
            reader.join(_ASK_S)
        return code

    def latest(self, event: str) -> Event | None:
        """The newest event of that name so far."""
        with self._changed:
            return next((one for one in reversed(self.events) if one.name == event), None)

    def all_of(self, event: str) -> list[Event]:
        """Every event of that name so far."""
        with self._changed:
            return [one for one in self.events if one.name == event]

    def failed(self, code: int) -> MeasurementError:
        """The error to raise for an exit code."""
        return MeasurementError(self._ended(f"with exit code {code}"))

    def end(self) -> None:
        """Ask it to end, and kill it when it does not."""
        with contextlib.suppress(ProcessLookupError):
            if self.process.poll() is None:
                self.process.terminate()
                try:
                    self.process.wait(_ASK_S)
                except subprocess.TimeoutExpired:
                    self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(_ASK_S)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            at, values = time.monotonic(), None
            if line.startswith("{"):
                with contextlib.suppress(ValueError):
                    values = json.loads(line)
            with self._changed:
                if isinstance(values, dict):
                    self.events.append(Event(at, values))
                elif line.strip():
                    self.words.append(line.strip())
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _ended(self, how: str) -> str:
        return f"{self.name} ended {how}{self._last()}"

    def _last(self) -> str:
        return f": {self.words[-1].removeprefix('clarion: ')}" if self.words else ""


@contextlib.contextmanager
def child(
    name: str, command: Sequence[str], environ: Mapping[str, str] | None = None
) -> Iterator[Child]:
    """
    Run a command until the block ends.

    In a session of its own, so that Ctrl-C reaches it through us, after what it still has to say.

    Raises:
        MeasurementError: it cannot be started.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=dict(os.environ if environ is None else environ),
            start_new_session=True,
        )
    except OSError as err:
        raise MeasurementError(f"cannot start {name}: {err.strerror}: {command[0]}") from err
    running = Child(name, process)
    try:
        running.listen()
        yield running
    finally:
        running.end()
