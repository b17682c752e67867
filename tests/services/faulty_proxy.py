"""The proxy as its command runs it, but killed at a named step of ingest, of compaction or of an erasure.

    python -m tests.services.faulty_proxy STEP [flags of privacyplease.proxy]

It ends itself with SIGKILL when it comes to the step: of ingest in its third flush, of all else the first time. The
code that ships knows nothing of this.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from privacyplease.proxy.__main__ import main
from privacyplease.proxy.compaction import claims, collection, plan, rewriting
from privacyplease.proxy.compaction.collection import Collection
from privacyplease.proxy.compaction.rewriting import Rewriting
from privacyplease.proxy.lifecycle.disposal import Disposal
from privacyplease.proxy.lifecycle.erasures import Erasures
from privacyplease.proxy.manifest import manifest
from privacyplease.proxy.manifest.changes import Change
from privacyplease.proxy.manifest.rows import State
from privacyplease.proxy.segments import rollups
from privacyplease.proxy.storage.client import Storage
from privacyplease.proxy.write.buffer import Pending
from privacyplease.proxy.write.writer import Writer

# So many flushes end well before.
FLUSHES_BEFORE = 2

# Few records make several segments with roll-ups, whose cells go to the server in several calls.
FULL_RECORDS = 1_000

Arm = Callable[[], None]


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str, *, passes: int = 0) -> None:
    """Kills where a function of a module or a class would be called, after so many calls of it."""
    whole: Callable[..., Any] = getattr(owner, name)
    calls = count()

    def or_die(*given: Any, **named: Any) -> Any:
        if next(calls) >= passes:
            _die()
        return whole(*given, **named)

    setattr(owner, name, or_die)


def _after(owner: Any, name: str, *, passes: int = 0) -> None:
    """Kills where such a function returns."""
    whole: Callable[..., Any] = getattr(owner, name)
    calls = count()

    def then_die(*given: Any, **named: Any) -> Any:
        result = whole(*given, **named)
        if next(calls) >= passes:
            _die()
        return result

    setattr(owner, name, then_die)


def _uncommitted(is_it: Callable[[Change], bool], *, passes: int = 0) -> None:
    """Kills where a change of the manifest is written, and not committed."""
    whole: Callable[..., None] = vars(manifest)["write_rows"]
    calls = count()

    def then_die(connection: Any, rows: Any, sealed: Any, change: Change, version: int) -> None:
        whole(connection, rows, sealed, change, version)
        if is_it(change) and next(calls) >= passes:
            _die()

    vars(manifest)["write_rows"] = then_die


def _adds(change: Change) -> bool:
    return bool(change.added)


def _removes(change: Change) -> bool:
    return bool(change.removed)


def _moves_to(state: State) -> Callable[[Change], bool]:
    return lambda change: any(move.after is state for move in change.moved)


def _flushing(arm: Callable[..., None], *where: Any) -> Arm:
    """At a step of a flush."""
    return lambda: arm(*where, passes=FLUSHES_BEFORE)


def few_records_make_many_cells(replace: Callable[[object, str, object], None] = setattr) -> None:
    """Has compaction cut small segments, each with a roll-up, and delete at once what it replaces."""
    replace(plan, "FULL_RECORDS", FULL_RECORDS)
    replace(rollups, "LEAST_RECORDS", 1)
    replace(rewriting, "APPEND_BYTES", 1)
    replace(collection, "KEPT_MS", -1)


def _compacting(arm: Callable[..., None], *where: Any, passes: int = 0) -> Arm:
    """At a step of compaction. The claim of the dead expires at once."""

    def armed() -> None:
        few_records_make_many_cells()
        claims.CLAIMED_MS = 0
        arm(*where, passes=passes)

    return armed


def _erasing(arm: Callable[..., None], *where: Any) -> Arm:
    """At a step of an erasure."""
    return lambda: arm(*where)


STEPS: dict[str, Arm] = {
    "before the intent": _flushing(_before, Writer, "_intend"),
    "in the middle of the intent": _flushing(_uncommitted, _adds),
    "after the intent": _flushing(_after, Writer, "_intend"),
    "after the server has the cells": _flushing(_after, Storage, "append"),
    "before the rows are live": _flushing(_uncommitted, _moves_to(State.LIVE)),
    "after the rows are live": _flushing(_before, Writer, "_keep"),
    "before the acknowledgement": _flushing(_after, Pending, "wait"),
}

COMPACTION_STEPS: dict[str, Arm] = {
    "in the middle of claiming": _compacting(_after, claims, "_claim"),
    "after claiming": _compacting(_before, Collection, "clear_away"),
    "after copying": _compacting(_before, Rewriting, "_sealed"),
    "in the middle of the intent to write": _compacting(_uncommitted, _adds),
    "after the intent to write": _compacting(_before, Storage, "append"),
    "in the middle of writing": _compacting(_after, Storage, "append"),
    "after writing": _compacting(_uncommitted, _moves_to(State.STORED)),
    "after the new cells are stored": _compacting(_before, Rewriting, "_switch"),
    "in the middle of switching": _compacting(_uncommitted, _moves_to(State.RETIRED)),
    "after switching": _compacting(_after, Rewriting, "_switch"),
    "after the new head is sent": _compacting(_after, Rewriting, "_publish"),
    "before deleting": _compacting(_before, Storage, "delete"),
    "after deleting": _compacting(_after, Storage, "delete"),
    "in the middle of forgetting": _compacting(_uncommitted, _removes),
    "after forgetting": _compacting(_after, Collection, "_delete_some"),
}

ERASURE_STEPS: dict[str, Arm] = {
    "before it is resolved": _erasing(_before, Erasures, "note"),
    "in the middle of resolving": _erasing(_uncommitted, _moves_to(State.RETIRED)),
    "after it is resolved": _erasing(_before, Disposal, "dispose"),
    "before its cells are deleted": _erasing(_before, Storage, "delete"),
    "after its cells are deleted": _erasing(_after, Storage, "delete"),
    "in the middle of forgetting its segments": _erasing(_uncommitted, _removes),
    "before the key is destroyed": _erasing(_before, Erasures, "shred"),
    "after the key is destroyed": _erasing(_after, Erasures, "shred"),
}


if __name__ == "__main__":
    (STEPS | COMPACTION_STEPS | ERASURE_STEPS)[sys.argv.pop(1)]()
    sys.exit(main())
