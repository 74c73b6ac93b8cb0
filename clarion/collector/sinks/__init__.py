"""
Where flows are delivered, by URI.

    null:                       count only
    ndjson:-  ndjson:FILE       one JSON object a line
    parquet:DIR                 rolling Parquet files by date and hour
    http://…  https://…         the existing backend's API
"""

from pathlib import Path
from typing import Final

from clarion.collector.sinks.settings import Sink, SinkSettings
from clarion.errors import UsageError

__all__ = ["SCHEMES", "Sink", "SinkSettings", "open_sink"]

SCHEMES: Final = ("parquet:DIR", "http://HOST", "https://HOST", "ndjson:FILE", "ndjson:-", "null:")


def open_sink(uri: str, settings: SinkSettings) -> Sink:
    """
    Open the sink that a URI names.

    Raises:
        UsageError: the URI is none that Clarion knows.
        SinkError: the sink cannot be opened: no such host syntax, directory not writable.

    """
    # Imported here: httpx and pyarrow.parquet take longer to load than the rest of the collector.
    scheme, colon, rest = uri.partition(":")
    if colon and scheme == "null" and not rest:
        from clarion.collector.sinks.null import NullSink

        return NullSink()
    if colon and scheme == "ndjson" and rest:
        from clarion.collector.sinks.ndjson import NdjsonSink

        return NdjsonSink(None if rest == "-" else Path(rest), settings)
    if colon and scheme == "parquet" and rest:
        from clarion.collector.sinks.parquet import ParquetSink

        return ParquetSink(Path(rest), settings)
    if colon and scheme in {"http", "https"} and rest.startswith("//"):
        from clarion.collector.sinks.http import HttpSink

        return HttpSink(uri, settings)
    shown = uri if "@" not in uri else f"{scheme}:…"
    raise UsageError(f"unknown sink {shown!r}; wanted one of {', '.join(SCHEMES)}")
