"""Sealing a segment: records become the cells of its groups, and the summary that the manifest keeps of them.

The rest of a segment holds the digest of its core. So a segment authenticates itself where the manifest is lost, as
after a restore: a holder of only the core's keys cannot put another core in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import spans
from privacyplease.proxy.segments import filters, rollups
from privacyplease.proxy.segments.core import Core, CoreColumns, packed
from privacyplease.proxy.segments.groups import Group, SegmentId, tags
from privacyplease.proxy.segments.hashes import FILTER_LABEL, ROLLUP_LABEL, lasting_key, subject_hashes
from privacyplease.proxy.segments.pages import pack
from privacyplease.proxy.segments.sealing import CellContext, SealedGroup, Sealer

# The key of the core's digest in the metadata of the rest's schema. It is in hexadecimal: Arrow metadata is text.
CORE_DIGEST = b"core"


class Summary(NamedTuple):
    """What the manifest keeps about a segment's records.

    Attributes:
        records: How many there are.
        first: The first start, in ms; 0 if there are no records, as for the next three.
        last: The last start, in ms.
        reach: The last end, in ms.
        longest: The longest duration, in ms.
        subjects: A filter of its subjects (`filters.py`).
    """

    records: int
    first: int
    last: int
    reach: int
    longest: int
    subjects: bytes


class SealedSegment(NamedTuple):
    """A segment, sealed.

    Attributes:
        number: Its number.
        summary: About its records.
        groups: Its cells.
        core: Its core, opened.
        outgrown: How many of its cells exceed the size for their number of records: a leak, and so counted.
    """

    number: SegmentId
    summary: Summary
    groups: dict[Group, SealedGroup]
    core: Core
    outgrown: int = 0


class SegmentSealer:
    """Seals segments. Safe to use from many threads."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(
        self, records: pa.Table, dataset: Dataset, key: KeyId, number: SegmentId, *, settled: bool, room: int = 0
    ) -> SealedSegment:
        """Seals records as one segment.

        Args:
            records: Checked records of one epoch, in any order; columns that the data set lacks are kept.
            dataset: Their data set.
            key: The epoch's key.
            number: A number that no segment has had.
            settled: Whether compaction made it; then it has a roll-up, if it is large enough for one.
            room: How many records its cells have room for, at least.
        """
        ordered = in_order(records, dataset)
        columns = core_columns(ordered, dataset)
        batches = {Group.CORE: packed(columns), Group.REST: pack(ordered.drop_columns(list(dataset.required)))}
        core = Core(batches[Group.CORE])
        if settled and rollups.worthwhile(len(records)):
            kind = dataset.columns[dataset.subject]
            hashes = subject_hashes(lasting_key(dataset, self._keyring, ROLLUP_LABEL), core.subjects, kind)
            batches[Group.ROLLUP] = rollups.rolled_up(core, hashes)
        padded_records = max(len(records), room)
        sealed = self._sealed(batches, dataset, key, number, padded_records)
        outgrown = sum(cell.size > dataset.budgets[group.label].size(padded_records) for group, cell in sealed.items())
        return SealedSegment(number, self.summary(columns, core, dataset), sealed, core, outgrown)

    def _sealed(
        self, batches: Mapping[Group, pa.RecordBatch], dataset: Dataset, key: KeyId, number: SegmentId, records: int
    ) -> dict[Group, SealedGroup]:
        digest_key = self._keyring.digest_key(dataset.name, key)
        sealed: dict[Group, SealedGroup] = {}
        for group, batch in batches.items():
            keys = self._keyring.group_keys(dataset.name, key, group.label)
            (tag,) = tags(keys.tag, group, [number])
            place = CellContext(dataset.name, group, tag)
            if group is Group.REST:
                batch = batch.replace_schema_metadata({CORE_DIGEST: sealed[Group.CORE].digest.hex()})
            sealed[group] = Sealer(keys.cell, digest_key).seal(batch, place, dataset.budgets[group.label], records)
        return sealed

    def summary(self, columns: CoreColumns, core: Core, dataset: Dataset) -> Summary:
        """What the manifest keeps about records, given their columns and the core made of them."""
        if not len(core):
            return Summary(0, 0, 0, 0, 0, b"")
        kind = dataset.columns[dataset.subject]
        hashes = subject_hashes(lasting_key(dataset, self._keyring, FILTER_LABEL), core.subjects, kind)
        starts, durations = columns.starts, columns.durations
        return Summary(
            records=len(core),
            first=int(starts.min()),
            last=int(starts.max()),
            reach=int((starts + durations).max()),
            longest=int(durations.max()),
            subjects=filters.make(hashes),
        )


def in_order(records: pa.Table, dataset: Dataset) -> pa.Table:
    """The records ascending by (subject, start)."""
    encoded = records[dataset.subject].combine_chunks().dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    starts, _ = spans(records, dataset)
    ascending = np.lexsort((starts, rank[encoded.indices.to_numpy()]))
    return records.take(pa.array(ascending)).combine_chunks()


def core_columns(records: pa.Table, dataset: Dataset) -> CoreColumns:
    """The columns of the core."""
    starts, ends = spans(records, dataset)
    subjects, places = (records[name].combine_chunks() for name in (dataset.subject, dataset.place))
    return CoreColumns(subjects, places, starts, ends - starts)
