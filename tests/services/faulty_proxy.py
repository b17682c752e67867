"""The proxy as its command runs it, but killed at a named step of ingest or of compaction.

    python -m tests.services.faulty_proxy STEP [flags of privacyplease.proxy]

It ends itself with SIGKILL the first time that it comes to the step. The code that ships knows nothing of this.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from privacyplease.proxy import compaction, holdings, journal, ledger, rollups
from privacyplease.proxy.__main__ import main
from privacyplease.proxy.compaction import Compaction
from privacyplease.proxy.ledger import Ledger
from privacyplease.proxy.services import ingest
from privacyplease.proxy.storage.client import Storage
from privacyplease.proxy.verified import VerifiedStorage

# So soon is the journal folded: it takes few batches to come to that.
FOLDED_FROM_ENTRIES = 8


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str) -> None:
    setattr(owner, name, _die)


def _after(owner: Any, name: str) -> None:
    whole: Callable[..., Any] = getattr(owner, name)

    def then_die(*given: Any, **named: Any) -> None:
        whole(*given, **named)
        _die()

    setattr(owner, name, then_die)


def _ingesting(arm: Callable[[], None]) -> Callable[[], None]:
    """At a step of ingest."""

    def armed() -> None:
        ledger.FOLDED_FROM_ENTRIES = FOLDED_FROM_ENTRIES
        arm()

    return armed


def _compacting(arm: Callable[[], None]) -> Callable[[], None]:
    """At a step of compaction.

    What is replaced is removed at once, the claim of the dead expires at once, and every run gets a roll-up.
    """

    def armed() -> None:
        journal.KEPT_SECONDS = -1
        compaction.CLAIMED_MS = 0
        rollups.LEAST_RUN_BYTES = 0
        arm()

    return armed


STEPS: dict[str, Callable[[], None]] = {
    "before the intent": _ingesting(lambda: _before(Ledger, "sent")),
    "in the middle of the intent": _ingesting(lambda: _after(journal, "write")),  # written, not committed
    "after the intent": _ingesting(lambda: _after(Ledger, "sent")),
    "after the server's acknowledgement": _ingesting(lambda: _before(Ledger, "stored")),
    "in the middle of confirming": _ingesting(lambda: _after(journal, "advance")),
    "after confirming": _ingesting(lambda: _after(Ledger, "stored")),
    "before folding": _ingesting(lambda: _before(Ledger, "fold")),
    "in the middle of folding": _ingesting(lambda: _before(journal, "drop")),
    "after folding": _ingesting(lambda: _after(Ledger, "fold")),
    "after all calls, before the acknowledgement": _ingesting(lambda: _after(Storage, "append")),
    "before the acknowledgement": _ingesting(lambda: _before(ingest, "_Taken")),
}

COMPACTION_STEPS: dict[str, Callable[[], None]] = {
    "in the middle of claiming": _compacting(lambda: _after(compaction, "_claim")),
    "after claiming": _compacting(lambda: _before(Compaction, "_clear_away")),
    "in the middle of planning": _compacting(lambda: _after(holdings, "plan_run")),
    "after planning": _compacting(lambda: _before(VerifiedStorage, "append_if")),
    "after the intent to write": _compacting(lambda: _after(Ledger, "sent_if")),
    "after the server has the new cells": _compacting(lambda: _before(Ledger, "stored")),
    "after writing": _compacting(lambda: _before(Compaction, "_switch")),
    "in the middle of switching": _compacting(lambda: _after(holdings, "switch")),
    "at the end of switching": _compacting(lambda: _after(Ledger, "retire")),
    "after switching": _compacting(lambda: _after(Compaction, "_switch")),
    "before removing": _compacting(lambda: _before(Storage, "remove")),
    "after removing": _compacting(lambda: _after(Storage, "remove")),
    "in the middle of forgetting": _compacting(lambda: _before(ledger, "_drop_empty")),
    "after forgetting": _compacting(lambda: _after(Ledger, "collected")),
}


if __name__ == "__main__":
    (STEPS | COMPACTION_STEPS)[sys.argv.pop(1)]()
    sys.exit(main())
