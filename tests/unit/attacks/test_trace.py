from __future__ import annotations

from pathlib import Path

import numpy as np

from attacks.recording import Recording
from attacks.trace import CallTrace, TracedCall, TracedCell, TracedRow

CALLS = [
    TracedCall(0, "Describe"),
    TracedCall(1, "Append", cells=[TracedCell(0, 512), TracedCell(1, 1024)], pages=[0]),
    TracedCall(2, "Select", [1, 0, 7], [TracedCell(0, 512), TracedCell(1, 1024)], [1, 1]),
    TracedCall(3, "Select", [4], rows=[TracedRow(1, 2, 3, 4)], bounds=(10, 20)),
]


def test_a_trace_is_read_as_it_was_written(tmp_path: Path) -> None:
    CallTrace(CALLS).write(tmp_path / "trace.gz")
    assert CallTrace.read(tmp_path / "trace.gz").calls == CALLS


def test_the_same_trace_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        CallTrace(CALLS).write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_recording_is_read_as_it_was_written(sealed: Recording, tmp_path: Path) -> None:
    sealed.write(tmp_path)
    read = Recording.read(tmp_path)
    assert read.trace == sealed.trace
    assert read.truth.questions == sealed.truth.questions
    assert read.groups == sealed.groups
    assert np.array_equal(read.knowledge.place_hours, sealed.knowledge.place_hours)
    assert np.array_equal(read.truth.people, sealed.truth.people)
