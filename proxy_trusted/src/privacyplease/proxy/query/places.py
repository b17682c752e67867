"""Places and their locations, from the records of a time, as functions over arrays."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from privacyplease.proxy.query.hits import Hit
from privacyplease.proxy.records.dataset import Dataset


def places_of(hits: Iterable[Hit], dataset: Dataset) -> tuple[list[str], list[str]]:
    """The places of the records and their locations, ascending by place; "" where no record has a location.

    If a place has several locations, that of the record with the last start counts; among equal starts, the greatest.
    """
    latest: dict[str, tuple[int, str]] = {}
    columns = (dataset.location,) if dataset.location else ()
    for hit in hits:
        for place, location, start in _seen(hit.table(dataset, columns), dataset):
            latest[place] = max(latest.get(place, (-1, "")), (start, location) if location else (-1, ""))
    places = sorted(latest)
    return places, [latest[place][1] for place in places]


def _seen(page: pa.Table, dataset: Dataset) -> Iterable[tuple[str, str, int]]:
    """Each place and location of a page once, and the latest start of its records in ms."""
    locations = page[dataset.location] if dataset.location else pa.nulls(len(page), pa.string())
    columns = [page[dataset.place], locations, page[dataset.start].cast(pa.int64())]
    groups = pa.table(columns, names=["place", "location", "start"]).group_by(["place", "location"])
    rows = groups.aggregate([("start", "max")]).select(["place", "location", "start_max"])
    for place, location, start in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        yield place, location or "", start
