"""The control store: a scheme whose leaks are known, on the same sessions and questions.

Each row has deterministic ciphertexts of its device and its place, and order-preserving ones of its start and its
end (CryptDB: Popa, Redfield, Zeldovich and Balakrishnan, SOSP 2011). It records the trace that the server of such a
store sees.
"""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pyarrow as pa

from attacks.campus import first_instant, spans
from attacks.questions import About, ScenarioQuestion
from attacks.trace import DAY, CallTrace, TracedCall, TracedCell, TracedRow

_KEY = b"the control store's key"
_DAYS = 16  # from the day before the fortnight on
_WIDEST = 1_000


class Deterministic:
    """A store with deterministic and order-preserving encryption."""

    def __init__(self, seed: int) -> None:
        self._now = 0
        self._numbers: dict[bytes, int] = {}
        self._calls: list[TracedCall] = []
        self._rows = np.zeros((0, 4), np.int64)
        # A random increasing function of the second: it reveals only order.
        widths = np.random.default_rng((seed, 3)).integers(1, _WIDEST, _DAYS * DAY // 1_000)
        self._ranks = np.cumsum(widths)

    def clock(self, now: int) -> None:
        """Sets the time, in ms since 1970."""
        self._now = now

    def trace(self) -> CallTrace:
        """What the server saw so far."""
        return CallTrace(self._calls)

    def ingest(self, records: pa.Table) -> None:
        """Stores records."""
        starts, ends = spans(records)
        columns = [self._tokens(records, "client_mac"), self._tokens(records, "ap_name")]
        stored = np.column_stack([*columns, self._ordered(starts), self._ordered(ends)])
        self._rows = np.concatenate([self._rows, stored])
        self._calls.append(TracedCall(self._now, "Append", rows=[TracedRow(*row) for row in stored.tolist()]))

    def compact(self, until: int) -> None:
        """Does nothing: such a store has nothing to compact."""

    def ask(self, question: ScenarioQuestion) -> None:
        """Selects the rows of a token in a range of ciphertexts."""
        low, high = self._ordered(np.array([question.start, question.end])).tolist()
        selected = (self._rows[:, 2] <= high) & (self._rows[:, 3] >= low)
        tags = [self._token(question.key)] if question.key else []
        if tags:
            selected &= self._rows[:, 0 if question.about == About.DEVICE else 1] == tags[0]
        cells = [TracedCell(number, 0) for number in np.flatnonzero(selected).tolist()]
        self._calls.append(TracedCall(self._now, "Select", tags, cells, [len(cells)], bounds=(low, high)))

    def _ordered(self, times: np.ndarray) -> np.ndarray:
        return self._ranks[(times - first_instant() + DAY) // 1_000]

    def _tokens(self, records: pa.Table, column: str) -> np.ndarray:
        return np.array([self._token(value) for value in records[column].to_pylist()], np.int64)

    def _token(self, value: str) -> int:
        sealed = hmac.digest(_KEY, value.encode(), hashlib.sha256)
        return self._numbers.setdefault(sealed, len(self._numbers))
