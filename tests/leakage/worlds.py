"""Worlds that differ only in who and where, and what the storage server sees of each.

All keys of a world are drawn from one fixed sequence, so that what the server sees of two worlds can be compared bit by
bit, including tags, which would otherwise differ with the keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from privacyplease.proxy.keys.derivation import KEY_BYTES, Key
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.timeline import Interval
from tests.services.fake_storage import FakeStorage, RecordedCall
from tests.services.read_write_core import ReadWriteCore, core

WIFI = dataset.load()["wifi"]
BEGIN = 1_727_740_800_000  # 2024-10-01T00:00:00Z
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

# Who was where, by the number of the record.
Cast = Callable[[int], tuple[int, str]]


class Arrival(NamedTuple):
    """Batches, by the starts and durations of their records, in ms: all that two worlds have in common."""

    batches: Sequence[tuple[Sequence[int], Sequence[int]]]


def everybody(number: int) -> tuple[int, str]:
    """A different device and place for each record."""
    return 0x020000000000 + number * 7_919, f"ap-{number % 97:03d}-{number % 13}"


def one_person(_number: int) -> tuple[int, str]:
    """The same device at the same place."""
    return 0x02AABBCCDDEE, "lobby"


def a_crowd(number: int) -> tuple[int, str]:
    """Few devices, most of them at one place."""
    return 0x020000000000 + number % 5, "cafeteria" if number % 10 else f"office {number % 4}"


def arrival(seed: int, batches: int, records: int) -> Arrival:
    """Batches of records that start at distinct instants within a day or so; some of them are long."""
    random = np.random.default_rng(seed)
    made, used = [], set[int]()
    for batch in range(batches):
        starts = BEGIN + batch * HOUR + random.integers(0, 2 * HOUR, records) // 1_000 * 1_000
        fresh = [start for start in dict.fromkeys(starts.tolist()) if start not in used]
        used.update(fresh)
        lengths = random.choice([0, 30_000, 30 * MINUTE, 2 * DAY], len(fresh), p=[0.35, 0.3, 0.33, 0.02])
        made.append((fresh, [int(length) for length in lengths]))
    return Arrival(made)


def tables(of: Arrival, cast: Cast) -> Iterator[pa.Table]:
    """The batches, with subjects and places filled in."""
    numbers = count()
    for starts, lengths in of.batches:
        who, where = zip(*(cast(next(numbers)) for _ in starts), strict=True)
        yield pa.table(
            {
                WIFI.subject: pa.array(who, pa.int64()),
                WIFI.place: list(where),
                WIFI.start: pa.array(starts, pa.int64()).cast(pa.timestamp("ms", "UTC")),
                WIFI.duration: pa.array(lengths, pa.int64()).cast(pa.duration("ms")),
                "device_name": [f"{place} {device}" for device, place in zip(who, where, strict=True)],
            }
        )


@contextmanager
def world(folder: Path, monkeypatch: pytest.MonkeyPatch, cache_bytes: int = 0) -> Iterator[ReadWriteCore]:
    """A core whose keys are the same in all worlds."""
    numbers = count()

    def generate() -> Key:
        return Key(hashlib.sha256(b"world %d" % next(numbers)).digest()[:KEY_BYTES])

    monkeypatch.setattr(Key, "generate", generate)
    folder.mkdir()
    with core(folder, FakeStorage(), cache_bytes=cache_bytes) as made:
        yield made


def seen(core: ReadWriteCore) -> list[RecordedCall]:
    """The calls that the server saw since the last look."""
    calls = core.server.calls[:]
    core.server.calls.clear()
    return calls


def interval(start: int, length: int) -> Interval:
    """An interval that begins `start` ms after the first record."""
    return Interval(BEGIN + start, BEGIN + start + length)
