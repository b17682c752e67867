"""A store whose server sees what sealed segments may show: when, how much, and which stretch of time."""

from __future__ import annotations

from random import Random

import numpy as np
import pyarrow as pa

from attacks.campus import spans
from attacks.questions import ScenarioQuestion
from attacks.trace import CallTrace, TracedCall, TracedCell

_BYTES = (8, 24)  # a record's, in each of a segment's two cells


class Sealed:
    """Segments with a first start and a reach, two cells each; which are asked for depends on the interval alone."""

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
            self._store(min(each[0] for each in old), max(each[1] for each in old), sum(each[2] for each in old))

    def ask(self, question: ScenarioQuestion) -> None:
        met = [each for each in self._segments if each[0] <= question.end and each[1] >= question.start]
        self._select([each[3][0] for each in met])

    def _store(self, first: int, reach: int, rows: int) -> None:
        lengths = [2 ** int(np.ceil(np.log2(rows * each + 64))) for each in _BYTES]
        cells = [TracedCell(self._tags + number, length) for number, length in enumerate(lengths)]
        self._tags += len(cells)
        self._segments.append((first, reach, rows, cells))
        self._calls.append(TracedCall(self._now, "Append", cells=self._random.sample(cells, len(cells)), pages=[0]))

    def _select(self, cells: list[TracedCell]) -> None:
        asked = self._random.sample(cells, len(cells))
        self._calls.append(TracedCall(self._now, "Select", [cell.tag for cell in asked], sorted(cells), [len(cells)]))
