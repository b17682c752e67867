"""The proxy's command, killed at a named step of ingest, of compaction or of an erasure.

    python -m tests.services.faulty_proxy STEP [flags of privacyplease.proxy]

It kills itself with SIGKILL when it reaches the step: for ingest in its third flush, otherwise the first time. The code
that ships knows nothing of this.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from privacyplease.proxy.__main__ import main
from privacyplease.proxy.compaction import garbage_collection, leases, plan, rewriting
from privacyplease.proxy.compaction.garbage_collection import GarbageCollector
from privacyplease.proxy.compaction.rewriting import Rewriter
from privacyplease.proxy.lifecycle.erasure_log import ErasureLog
from privacyplease.proxy.lifecycle.segment_deletion import SegmentDeleter
from privacyplease.proxy.manifest import manifest
from privacyplease.proxy.manifest.changes import Change
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.segments import rollups
from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.write.buffer import Pending
from privacyplease.proxy.write.writer import Writer

# How many flushes succeed before.
FLUSHES_BEFORE = 2

# So small that few records make several segments with roll-ups, whose cells are sent in several calls.
FULL_RECORDS = 1_000

Arm = Callable[[], None]


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str, *, passes: int = 0) -> None:
    """Kills the process instead of calling a function of a module or class, after `passes` calls of it."""
    real: Callable[..., Any] = getattr(owner, name)
    calls = count()

    def or_die(*args: Any, **kwargs: Any) -> Any:
        if next(calls) >= passes:
            _die()
        return real(*args, **kwargs)

    setattr(owner, name, or_die)


def _after(owner: Any, name: str, *, passes: int = 0) -> None:
    """Kills the process when such a function returns."""
    real: Callable[..., Any] = getattr(owner, name)
    calls = count()

    def then_die(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        if next(calls) >= passes:
            _die()
        return result

    setattr(owner, name, then_die)


def _uncommitted(is_it: Callable[[Change], bool], *, passes: int = 0) -> None:
    """Kills the process when a change of the manifest is written but not committed."""
    real: Callable[..., None] = vars(manifest)["write_rows"]
    calls = count()

    def then_die(connection: Any, rows: Any, sealed: Any, change: Change, version: int) -> None:
        real(connection, rows, sealed, change, version)
        if is_it(change) and next(calls) >= passes:
            _die()

    vars(manifest)["write_rows"] = then_die


def _adds(change: Change) -> bool:
    return bool(change.added)


def _removes(change: Change) -> bool:
    return bool(change.removed)


def _moves_to(state: SegmentState) -> Callable[[Change], bool]:
    return lambda change: any(move.after is state for move in change.moved)


def _flushing(arm: Callable[..., None], *where: Any) -> Arm:
    """At a step of a flush."""
    return lambda: arm(*where, passes=FLUSHES_BEFORE)


def few_records_make_many_cells(replace: Callable[[object, str, object], None] = setattr) -> None:
    """Makes compaction cut small segments, each with a roll-up, and delete at once what it replaces."""
    replace(plan, "FULL_RECORDS", FULL_RECORDS)
    replace(rollups, "LEAST_RECORDS", 1)
    replace(rewriting, "APPEND_BYTES", 1)
    replace(garbage_collection, "KEPT_MS", -1)


def _compacting(arm: Callable[..., None], *where: Any, passes: int = 0) -> Arm:
    """At a step of compaction. The lease of the killed process expires at once."""

    def armed() -> None:
        few_records_make_many_cells()
        leases.LEASE_MS = 0
        arm(*where, passes=passes)

    return armed


def _erasing(arm: Callable[..., None], *where: Any) -> Arm:
    """At a step of an erasure."""
    return lambda: arm(*where)


STEPS: dict[str, Arm] = {
    "before the intent": _flushing(_before, Writer, "_intend"),
    "in the middle of the intent": _flushing(_uncommitted, _adds),
    "after the intent": _flushing(_after, Writer, "_intend"),
    "after the server has the cells": _flushing(_after, StorageClient, "append"),
    "before the rows are live": _flushing(_uncommitted, _moves_to(SegmentState.LIVE)),
    "after the rows are live": _flushing(_before, Writer, "_keep"),
    "before the acknowledgement": _flushing(_after, Pending, "wait"),
}

COMPACTION_STEPS: dict[str, Arm] = {
    "in the middle of leasing": _compacting(_after, leases, "_acquire"),
    "after leasing": _compacting(_before, GarbageCollector, "delete_leftovers"),
    "after copying": _compacting(_before, Rewriter, "_sealed"),
    "in the middle of the intent to write": _compacting(_uncommitted, _adds),
    "after the intent to write": _compacting(_before, StorageClient, "append"),
    "in the middle of writing": _compacting(_after, StorageClient, "append"),
    "after writing": _compacting(_uncommitted, _moves_to(SegmentState.STORED)),
    "after the new cells are stored": _compacting(_before, Rewriter, "_switch"),
    "in the middle of switching": _compacting(_uncommitted, _moves_to(SegmentState.RETIRED)),
    "after switching": _compacting(_after, Rewriter, "_switch"),
    "after the new head is sent": _compacting(_after, Rewriter, "_publish"),
    "before deleting": _compacting(_before, StorageClient, "delete"),
    "after deleting": _compacting(_after, StorageClient, "delete"),
    "in the middle of removing rows": _compacting(_uncommitted, _removes),
    "after removing rows": _compacting(_after, GarbageCollector, "_delete_batch"),
}

ERASURE_STEPS: dict[str, Arm] = {
    "before it is recorded": _erasing(_before, ErasureLog, "record"),
    "in the middle of recording": _erasing(_uncommitted, _moves_to(SegmentState.RETIRED)),
    "after it is recorded": _erasing(_before, SegmentDeleter, "delete"),
    "before its cells are deleted": _erasing(_before, StorageClient, "delete"),
    "after its cells are deleted": _erasing(_after, StorageClient, "delete"),
    "in the middle of removing its rows": _erasing(_uncommitted, _removes),
    "before the key is destroyed": _erasing(_before, ErasureLog, "shred"),
    "after the key is destroyed": _erasing(_after, ErasureLog, "shred"),
}


if __name__ == "__main__":
    (STEPS | COMPACTION_STEPS | ERASURE_STEPS)[sys.argv.pop(1)]()
    sys.exit(main())
