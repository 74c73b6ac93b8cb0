"""What a collector delivered, read back from its sink in pieces, ready to be compared."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.dataset
import pyarrow.json

from clarion.errors import UsageError

_JSON_PIECE: Final = 32 << 20
# A line of JSON with all flow columns; only to guess how many there are.
_JSON_ROW_OCTETS: Final = 500


class Delivered(Protocol):
    """Rows in a sink."""

    def rows(self) -> int:
        """Return about how many there are."""

    def tables(self, schema: pa.Schema) -> Iterator[pa.Table]:
        """Return them in pieces, with those columns of `schema` that the sink has."""


def open_delivered(uri: str) -> Delivered:
    """Return the reader of `parquet:DIR` or `ndjson:FILE`; raises UsageError."""
    scheme, colon, name = uri.partition(":")
    if not colon or not name or scheme not in ("parquet", "ndjson"):
        raise UsageError(f"sink {uri!r}: wanted parquet:DIR or ndjson:FILE")
    path = Path(name)
    if not path.exists():
        raise UsageError(f"sink {uri!r}: no such {'directory' if scheme == 'parquet' else 'file'}")
    return _Parquet(path) if scheme == "parquet" else _Ndjson(path)


class _Parquet:
    """Every complete Parquet file in a directory; hidden ones are still being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._data: Any = pyarrow.dataset.dataset(path, format="parquet")
        except (OSError, pa.ArrowInvalid) as err:
            raise UsageError(f"cannot read {path}: {_first_line(err)}") from err

    def rows(self) -> int:
        return int(self._data.count_rows())

    def tables(self, schema: pa.Schema) -> Iterator[pa.Table]:
        present = set(self._data.schema.names)
        wanted = [name for name in schema.names if name in present]
        try:
            for batch in self._data.to_batches(columns=wanted):
                if len(batch):
                    yield pa.Table.from_batches([batch])
        except (OSError, pa.ArrowInvalid) as err:
            raise UsageError(f"cannot read {self._path}: {_first_line(err)}") from err


class _Ndjson:
    """One JSON object a line; times are integer milliseconds."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> int:
        return self._path.stat().st_size // _JSON_ROW_OCTETS

    def tables(self, schema: pa.Schema) -> Iterator[pa.Table]:
        options = pyarrow.json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="ignore"
        )
        try:
            with self._path.open("rb") as file:
                while piece := file.read(_JSON_PIECE):
                    piece += file.readline()
                    reading = pyarrow.json.ReadOptions(block_size=len(piece) + 1)
                    yield pyarrow.json.read_json(io.BytesIO(piece), reading, options)
        except (OSError, pa.ArrowInvalid) as err:
            raise UsageError(f"cannot read {self._path}: {_first_line(err)}") from err


def _first_line(err: Exception) -> str:
    return str(err).splitlines()[0]
