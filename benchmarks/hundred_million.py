"""A hundred million sessions, more than ten years of the campus, on the encrypted side only.

`make bench SCALE=100M`. It takes some minutes and 3 GiB of disk; the plaintext side would take 27 GiB.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

from benchmarks import systems
from benchmarks.questions import QuestionFamily, QuestionKind, families
from benchmarks.results import BenchmarkResults, Measurement, held_against
from benchmarks.sessions import CampusSessions
from benchmarks.system_pair import MIB, compact, ingest, stored_bytes
from benchmarks.targets import AGAIN_100M_MS, ALL_TIME_100M_MS, FIRST_100M_MS
from privacyplease.client import Client
from tests.services.mariadb import MariaDB

_SUBJECTS = ("presence, busiest device", "count, busiest place", "count, whole building")
_RANGES = ("30 d", "all")
_ROUNDS = 5


def run(database: MariaDB, scale: int, results: BenchmarkResults) -> None:
    """Ingests, compacts and asks."""
    data = CampusSessions(scale)
    section = results.section(
        f"encrypted-only-{scale}",
        f"{scale:,} sessions of {data.days:,} days, the encrypted side only",
        "Sent by the SDK, compacted, and asked; first of a proxy that keeps no cell in memory.",
    )
    with systems.encrypted(database, "hundred_million") as encrypted:
        section.add(Measurement("ingest", scale / _seconds(lambda: ingest(encrypted, data)), None, "sessions/s"))
        section.add(Measurement("compaction", scale / _seconds(lambda: compact(encrypted)), None, "sessions/s"))
        section.add(Measurement("stored", stored_bytes(database, encrypted.system) / MIB, None, "MiB"))
        section.add(Measurement("the proxy's own store", encrypted.trusted_store_bytes / MIB, None, "MiB"))
        chosen = [family for family in families(data) if family.subject in _SUBJECTS and family.range in _RANGES]
        with systems.without_cache(encrypted) as client:
            for family in chosen:
                section.add(_measurement(family, _median_ms(client, family), scale, first=True))
        for family in chosen:
            section.add(_measurement(family, _median_ms(encrypted.system.client, family), scale, first=False))
        peak = encrypted.proxy_peak_bytes / MIB
        section.add(Measurement("peak resident memory since the last start", peak, None, "MiB"))


def _measurement(family: QuestionFamily, ms: float, scale: int, *, first: bool) -> Measurement:
    when = "for the first time" if first else "again"
    if family.range == "30 d":
        bounds = held_against([FIRST_100M_MS if first else AGAIN_100M_MS], ms, scale)
    else:
        bounds = held_against([ALL_TIME_100M_MS], ms, scale) if family.kind is QuestionKind.COUNT else ()
    return Measurement(f"{family.name}, {when}", ms, None, "ms", bounds)


def _median_ms(client: Client, family: QuestionFamily) -> float:
    """The median of all rounds but the first."""
    rounds = [
        [_seconds(partial(question.ask, client)) * 1_000 for question in family.questions] for _ in range(_ROUNDS + 1)
    ]
    return statistics.median(latency for latencies in rounds[1:] for latency in latencies)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
