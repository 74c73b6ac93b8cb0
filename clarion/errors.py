"""
What can go wrong, as a tree.

    ClarionError                 exit code 1
    ├── UsageError               exit code 2: the user's flag, unit, setting or file name
    ├── NetError                 a socket: port busy, no permission, address unknown
    ├── CaptureError             a capture file that cannot be read
    ├── SinkError                a place of delivery that cannot take a batch
    ├── MeasurementError         a trial or a Measurement file that is not usable
    └── EncodeError              our own bad input to the encoder

Bad bytes from the network are never an exception: they are `clarion.wire.faults`, counted.
A message says what, where, found and wanted, and the remedy; lower case, no full stop.
"""


class ClarionError(Exception):
    """Base of every error Clarion raises on purpose; its text is one line for the user."""

    exit_code = 1


class UsageError(ClarionError):
    """A flag, unit, setting or file name that cannot be meant."""

    exit_code = 2


class NetError(ClarionError):
    """A socket cannot be opened, bound or used."""


class CaptureError(ClarionError):
    """A capture file cannot be read."""


class SinkError(ClarionError):
    """A sink cannot take a batch."""


class MeasurementError(ClarionError):
    """A trial failed, or a Measurement file is not usable."""


class EncodeError(ClarionError):
    """The encoder was given columns that do not fit the layout."""
