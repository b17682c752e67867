"""A hundred million sessions, ten years and more of the campus: the encrypted side alone.

`make bench SCALE=100M`. It takes some hours and 3 GiB of disk; the plaintext side would take 27.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

from benchmarks import sides
from benchmarks.questions import Family, Kind, families
from benchmarks.results import Results, Row, held
from benchmarks.sessions import Data
from benchmarks.targets import FAR_AGAIN_MS, FAR_EVER_MS, FAR_FIRST_MS
from benchmarks.world import MIB, compact, ingest, stored_bytes
from privacyplease.client import Client
from tests.services.mariadb import MariaDB

_ASKED = ("presence, busiest device", "count, busiest place", "count, whole building")
_ROUNDS = 5


def run(database: MariaDB, scale: int, results: Results) -> None:
    """Fills, compacts and asks."""
    data = Data(scale)
    section = results.section(
        f"far-{scale}",
        f"{scale:,} sessions of {data.days:,} days, the encrypted side alone",
        "Sent by the SDK, compacted, and asked; first by a proxy that keeps no cell in memory.",
    )
    with sides.encrypted(database, "far") as encrypted:
        section.add(Row("ingest", scale / _seconds(lambda: ingest(encrypted, data)), None, "sessions/s"))
        section.add(Row("compaction", scale / _seconds(lambda: compact(encrypted)), None, "sessions/s"))
        section.add(Row("stored", stored_bytes(database, encrypted.side) / MIB, None, "MiB"))
        section.add(Row("the proxy's own store", encrypted.trusted_store_bytes / MIB, None, "MiB"))
        asked = [each for each in families(data) if each.subject in _ASKED and each.range in ("30 d", "all")]
        with sides.without_memory(encrypted) as client:
            for family in asked:
                section.add(_row(family, _median(client, family), scale, first=True))
        for family in asked:
            section.add(_row(family, _median(encrypted.side.client, family), scale, first=False))
        section.add(Row("most resident memory since the last start", encrypted.proxy_peak_bytes / MIB, None, "MiB"))


def _row(family: Family, took: float, scale: int, *, first: bool) -> Row:
    when = "for the first time" if first else "again"
    if family.range == "30 d":
        bounds = held([FAR_FIRST_MS if first else FAR_AGAIN_MS], took, scale)
    else:
        bounds = held([FAR_EVER_MS], took, scale) if family.questions[0].kind is Kind.COUNT else ()
    return Row(f"{family.name}, {when}", took, None, "ms", bounds)


def _median(client: Client, family: Family) -> float:
    """In ms, after a round that does not count."""
    took = []
    for _ in range(_ROUNDS + 1):
        for question in family.questions:
            took.append(_seconds(partial(question.ask, client)) * 1_000)
    return statistics.median(took[len(family.questions) :])


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
