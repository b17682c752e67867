"""A data set of some months, and what can be asked about its people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pyarrow as pa

from privacyplease.proxy.export.exporter import KeyringExporter
from privacyplease.proxy.export.keyring_file import Export
from privacyplease.proxy.export.search import ExportedSearch
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.query import occupancy
from privacyplease.proxy.query.hits import Hit
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.search import Search
from privacyplease.proxy.records.timeline import DAY, Interval, Steps
from tests.services.proxy_core import HOUR, ProxyCore

JULY, AUGUST = 1_719_792_000_000, 1_722_470_400_000  # 2024-07-01, 2024-08-01
MAY, OCTOBER = JULY - 61 * DAY, AUGUST + 61 * DAY
ALLOWED = Interval(JULY, AUGUST)
PARTNERS = "a passphrase for the partner"


def table(rows: list[tuple[int, int, float]]) -> pa.Table:
    """Sessions of devices, as (device, start, hours)."""
    devices, starts, hours = zip(*rows, strict=True)
    return pa.table(
        {
            "client_mac": pa.array(devices, pa.int64()),
            "ap_name": [f"ap-{device % 3}" for device in devices],
            "association_time": pa.array(starts, pa.timestamp("ms", tz="UTC")),
            "session_duration": pa.array([int(each * HOUR) for each in hours], pa.duration("ms")),
            "ssid": ["secret"] * len(devices),
        }
    )


def exporter(core: ProxyCore, most_tags: int = 1_000) -> KeyringExporter:
    return KeyringExporter(core.keyring, core.manifest, core.currency, most_tags)


def answers(search: Search | ExportedSearch, core: ProxyCore, interval: Interval = ALLOWED) -> list[Any]:
    """Everything that can be asked about people."""
    question, found = Question(core.wifi, interval), list[Any]()
    with ExitStack() as asked:

        def ask(**more: Any) -> Iterator[Hit]:
            return asked.enter_context(search.ask(replace(question, **more))).hits

        found += [occupancy.count(ask()), occupancy.count(ask(places=pa.scalar("ap-1")))]
        found += [occupancy.count(ask(places=pa.array(["ap-1", "ap-2", "no such"])))]
        found += [occupancy.count_by_place(ask()), occupancy.series(ask(), Steps(interval, 900_000)).tolist()]
    return found


def keys_of(export: Export) -> Iterator[Key]:
    for keys in export.keys.values():
        yield from (keys.tag, keys.cell)
