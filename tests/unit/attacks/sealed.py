"""A store whose server sees only what sealed segments may show: when, how much, and which stretch of time."""

from __future__ import annotations

from random import Random

import numpy as np
import pyarrow as pa

from attacks.campus import spans
from attacks.questions import ScenarioQuestion
from attacks.trace import CallTrace, TracedCall, TracedCell

_BYTES = (8, 24)  # per record, in each of a segment's two cells


class SealedStore:
    """Segments with a first start, a reach and two cells. Which are asked for depends only on the interval."""

    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)
        self._now = self._tags = 0
        self._calls: list[TracedCall] = []
        self._segments: list[tuple[int, int, int, list[TracedCell]]] = []

    def clock(self, now: int) -> None:
        self._now = now

    def trace(self) -> CallTrace:
        return CallTrace(self._calls)

    def ingest(self, records: pa.Table) -> None:
        starts, ends = spans(records)
        self._store(int(starts.min()), int(ends.max()), records.num_rows)

    def compact(self, until: int) -> None:
        old = [segment for segment in self._segments if segment[0] <= until]
        if len(old) > 1:
            self._select([cell for *_, cells in old for cell in cells])
            self._segments = [segment for segment in self._segments if segment not in old]
            first, reach = min(segment[0] for segment in old), max(segment[1] for segment in old)
            self._store(first, reach, sum(segment[2] for segment in old))

    def ask(self, question: ScenarioQuestion) -> None:
        segments = self._segments
        touched = [cells for first, reach, _, cells in segments if first <= question.end and reach >= question.start]
        self._select([cells[0] for cells in touched])

    def _store(self, first: int, reach: int, rows: int) -> None:
        lengths = [2 ** int(np.ceil(np.log2(rows * record_bytes + 64))) for record_bytes in _BYTES]
        cells = [TracedCell(self._tags + number, length) for number, length in enumerate(lengths)]
        self._tags += len(cells)
        self._segments.append((first, reach, rows, cells))
        self._calls.append(TracedCall(self._now, "Append", cells=self._random.sample(cells, len(cells)), pages=[0]))

    def _select(self, cells: list[TracedCell]) -> None:
        tags = [cell.tag for cell in self._random.sample(cells, len(cells))]
        self._calls.append(TracedCall(self._now, "Select", tags, sorted(cells), [len(cells)]))
