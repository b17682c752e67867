"""Replays a session log as a live stream: one message per session, in the order of association.

The message's timestamp is the session's association time, its key the device. Sending is idempotent and every delivery
is checked; a replay that was interrupted or repeated changes no answer, since it sends the same sessions again.
"""

import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa

from privacyplease.ingest.errors import SettingsError
from privacyplease.ingest.kafka.producer import Producer
from privacyplease.ingest.kafka.session_messages import SessionMessages, render

__all__ = ["Replay", "parse_speed"]

_MAX_STEP = 5_000  # messages
_TICK_S = 0.05


class Replay:
    """The messages of a whole log, by association time. Holds them in memory: some 200 bytes per session.

    Args:
        tables: Sessions, of the schema `privacyplease.ingest.wifi.SCHEMA`, in any order.
    """

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        parts = [render(table) for table in tables if table.num_rows]
        self._times = np.concatenate([part.times for part in parts] or [np.empty(0, np.int64)])
        self._keys = pa.chunked_array([part.keys for part in parts], pa.string())
        self._values = pa.chunked_array([part.values for part in parts], pa.binary())
        self._order = np.argsort(self._times, kind="stable")
        self._times = self._times[self._order]

    def __len__(self) -> int:
        return len(self._times)

    @property
    def earliest(self) -> int | None:
        """The first association time, ms since the epoch, UTC; None if there is no session."""
        return int(self._times[0]) if len(self) else None

    def send(
        self,
        producer: Producer,
        *,
        speed: float = math.inf,
        stop: threading.Event | None = None,
        on_progress: Callable[[int], None] = lambda sent: None,
    ) -> int:
        """Sends the messages and waits until all are delivered.

        Args:
            producer: Sends them.
            speed: How many times as fast as they happened; infinite for as fast as possible.
            stop: Ends the replay when set; what was queued by then is delivered.
            on_progress: Called now and then with how many were queued.

        Returns:
            How many messages were delivered; fewer than `len` only if it was stopped.

        Raises:
            DeliveryError: If messages were not delivered.
            BrokerError: If Kafka's client has failed for good.
        """
        stop = stop or threading.Event()
        sent = 0
        for due in self._due(speed, stop):
            messages = self._messages(sent, due)
            for timestamp, key, value in zip(
                messages.times.tolist(), messages.keys.to_pylist(), messages.values.to_pylist(), strict=True
            ):
                if not producer.send(key, value, timestamp, stop=stop):
                    break
            sent = due
            producer.poll()
            on_progress(sent)
        producer.settle(stop)
        producer.check()
        return producer.delivered

    def _due(self, speed: float, stop: threading.Event) -> Iterator[int]:
        """Yields how many messages are due by now, in steps of at most `_MAX_STEP`."""
        sent, began = 0, time.monotonic()
        while sent < len(self) and not stop.is_set():
            due = len(self)
            if not math.isinf(speed):
                passed = (time.monotonic() - began) * 1_000 * speed
                due = int(np.searchsorted(self._times, self._times[0] + passed, side="right"))
                if due == sent:
                    wait = (self._times[sent] - self._times[0] - passed) / 1_000 / speed
                    stop.wait(min(max(float(wait), _TICK_S), 1.0))
                    yield sent  # delivery reports are processed while there is nothing to send
                    continue
            sent = min(due, sent + _MAX_STEP)
            yield sent

    def _messages(self, start: int, end: int) -> SessionMessages:
        rows = self._order[start:end]
        return SessionMessages(self._times[start:end], self._keys.take(rows), self._values.take(rows))


def parse_speed(text: str) -> float:
    """Parses a speed.

    >>> parse_speed("60x"), parse_speed("max")
    (60.0, inf)

    Raises:
        SettingsError: If it is not a speed.
    """
    if text.strip().lower() == "max":
        return math.inf
    number = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)x?", text.strip().lower())
    if number is None or float(number[1]) == 0:
        raise SettingsError(f"expected a speed such as 60x, 0.5x or max, got {text!r}")
    return float(number[1])
