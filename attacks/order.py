"""Order-revealing encryption: sorted ciphertexts and the times at which they arrived reveal the plaintext.

Durak, DuBuisson and Cash, What Else is Revealed by Order-Revealing Encryption?, CCS 2016. A session is logged when it
ends, so the largest end that has arrived by the end of an hour is the ciphertext of that hour.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from attacks.frequency import rows
from attacks.trace import HOUR
from attacks.view import AttackerView, Known

__all__ = ["days", "people"]

Floats = npt.NDArray[np.float64]


def people(view: AttackerView) -> Floats:
    """How many devices were in the building in each hour of the second week: float64[168]; empty without rows."""
    stored = rows(view)
    if not stored:
        return np.zeros(0)
    hours = 2 * len(view.knowledge.people)
    borders = _borders(view, hours)
    present: set[tuple[int, int]] = set()
    for _, row in stored:
        begin, end = np.searchsorted(borders, [row.start, row.end])
        present.update((hour, row.device) for hour in range(int(begin), min(int(end), hours - 1) + 1))
    counts = np.bincount([hour for hour, _ in present], minlength=hours)
    return counts[hours // 2 :].astype(np.float64)


def days(view: AttackerView, known: Known) -> list[str]:
    """The day on which the interval of each question begins, counted from the first."""
    borders = _borders(view, 2 * len(view.knowledge.people))
    lows = [next((call.bounds[0] for call in view.calls(at) if call.bounds), 0) for at in view.instants]
    return [str(int(np.searchsorted(borders, low)) // 24) for low in lows]


def _borders(view: AttackerView, hours: int) -> npt.NDArray[np.int64]:
    """The ciphertext of the end of each hour, or the next one below it: int64[hours]."""
    largest = np.zeros(hours, np.int64)
    for at, row in rows(view):
        hour = (at - view.knowledge.first) // HOUR
        largest[hour] = max(largest[hour], row.end)
    return np.maximum.accumulate(largest)
