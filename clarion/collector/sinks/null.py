"""The sink that only counts."""

import pyarrow as pa


class NullSink:
    """Take every row at once and keep none: what the rest of the collector costs."""

    def __init__(self) -> None:
        self.name = "null:"
        self.delivered = 0
        self.failed = 0

    @property
    def pending(self) -> int:
        """Nothing ever waits."""
        return 0

    def write(self, flows: pa.RecordBatch) -> None:
        """Count R rows as delivered."""
        self.delivered += len(flows)

    def tick(self, now: float) -> None:
        """Nothing is ever due."""

    def close(self) -> None:
        """Nothing to flush."""
