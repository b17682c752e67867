from __future__ import annotations

from pathlib import Path

import numpy as np

from attacks.recording import Recording
from attacks.trace import Call, Cell, Row, Trace

CALLS = [
    Call(0, "Describe"),
    Call(1, "Append", cells=[Cell(0, 512), Cell(1, 1024)], pages=[0]),
    Call(2, "Select", [1, 0, 7], [Cell(0, 512), Cell(1, 1024)], [1, 1]),
    Call(3, "Select", [4], rows=[Row(1, 2, 3, 4)], bounds=(10, 20)),
]


def test_a_trace_is_read_as_it_was_written(tmp_path: Path) -> None:
    Trace(CALLS).write(tmp_path / "trace.gz")
    assert Trace.read(tmp_path / "trace.gz").calls == CALLS


def test_the_same_trace_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        Trace(CALLS).write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_recording_is_read_as_it_was_written(sealed: Recording, tmp_path: Path) -> None:
    sealed.write(tmp_path)
    read = Recording.read(tmp_path)
    assert read.trace == sealed.trace
    assert read.truth.questions == sealed.truth.questions
    assert read.groups == sealed.groups
    assert np.array_equal(read.knowledge.place_hours, sealed.knowledge.place_hours)
    assert np.array_equal(read.truth.people, sealed.truth.people)
