"""Segments in memory, for tests of functions over their records."""

from __future__ import annotations

import pyarrow as pa

from privacyplease.proxy.query.hits import Hit
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.segments.core import EVERY, Core
from privacyplease.proxy.segments.segment import core_columns, in_order


def core_of(records: pa.Table, dataset: Dataset) -> Core:
    """The core of a segment of records, which have at least the core's columns."""
    return Core.of(core_columns(in_order(records, dataset), dataset))


def hit_of(records: pa.Table, dataset: Dataset) -> Hit:
    """All records of such a segment, as a hit."""
    return Hit(core_of(records, dataset), EVERY, None)
