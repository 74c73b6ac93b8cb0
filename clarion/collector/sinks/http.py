"""
Flows posted to the existing backend's API.

Rule: `write` never waits for the backend. Bodies go to an outbox of bounded rows and octets; a few
threads post them. While the backend cannot be reached nothing is given up: bodies wait, one at a
time tries again, and only what does not fit in the outbox is lost, counted and logged.
"""

import logging
import threading
import uuid
from typing import Final

import httpx
import pyarrow as pa

from clarion.collector.sinks.bodies import BodyCutter
from clarion.collector.sinks.outbox import Outbox, Parcel
from clarion.collector.sinks.poster import Poster
from clarion.collector.sinks.settings import SinkSettings
from clarion.errors import SinkError

log = logging.getLogger(__name__)

_PATH: Final = "/api/netflow/netflow"
