"""Recent activity of the proxy, as `privacyplease status` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from privacyplease.cli.output import screen
from privacyplease.cli.output.columns import aligned
from privacyplease.cli.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from privacyplease.client import Activity, RecentCalls

_HEADINGS = ("last five minutes", "calls", "failed", "/s", "p50 ms", "p95 ms", "cells", "MiB")


def as_document(activity: Activity) -> dict[str, Any]:
    """The activity as --json prints it."""
    ingestion = activity.ingestion
    return {
        "started_at": iso(activity.started_at),
        "calls": [_call(calls) for calls in activity.calls],
        "ingestion": {
            "batches": ingestion.batches,
            "accepted": ingestion.accepted,
            "rejected": ingestion.rejected,
            "accepted_per_second": round(ingestion.accepted_per_second, 3),
            "newest_record": {dataset: iso(end) for dataset, end in ingestion.newest_record.items()},
        },
    }


def lines(document: dict[str, Any], width: int) -> Iterator[str]:
    """The document as lines of `width` characters; cells and MiB are the mean that one call opened."""
    ingestion = document["ingestion"]
    yield (
        f"ingest  {screen.counted(ingestion['accepted'], 'record')} accepted, "
        f"{screen.number(ingestion['rejected'])} rejected since {document['started_at']}, "
        f"{ingestion['accepted_per_second']:,.1f} records/s recently"
    )
    for dataset, end in ingestion["newest_record"].items():
        yield f"newest  {dataset} record ends {end}"
    if not ingestion["newest_record"]:
        yield "newest  not known: no record is stored"
    if document["calls"]:
        rows = [_row(call) for call in document["calls"]]
        yield from aligned(_HEADINGS, rows, width, right=set(_HEADINGS[1:]), elastic=_HEADINGS[0])


def _call(calls: RecentCalls) -> dict[str, Any]:
    return {
        "method": calls.method,
        "calls": calls.calls,
        "failed": calls.failed,
        "per_second": round(calls.per_second, 3),
        "p50_seconds": calls.median.total_seconds(),
        "p95_seconds": calls.percentile_95.total_seconds(),
        "mean_cells": round(calls.mean_cells, 1),
        "mean_bytes": round(calls.mean_bytes),
    }


def _row(call: dict[str, Any]) -> tuple[str, ...]:
    return (
        call["method"],
        screen.number(call["calls"]),
        screen.number(call["failed"]),
        f"{call['per_second']:,.2f}",
        f"{call['p50_seconds'] * 1_000:,.1f}",
        f"{call['p95_seconds'] * 1_000:,.1f}",
        f"{call['mean_cells']:,.0f}",
        f"{call['mean_bytes'] / (1 << 20):,.2f}",
    )
