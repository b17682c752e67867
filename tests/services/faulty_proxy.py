"""The proxy as its command runs it, but killed at a named step between intent and acknowledgement.

    python -m tests.services.faulty_proxy STEP [flags of privacyplease.proxy]

It ends itself with SIGKILL the first time that it comes to the step. The code that ships knows nothing of this.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from privacyplease.proxy import journal
from privacyplease.proxy.__main__ import main
from privacyplease.proxy.ledger import Ledger
from privacyplease.proxy.services import ingest
from privacyplease.proxy.storage import Storage


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


STEPS: dict[str, Callable[[], None]] = {
    "before the intent": lambda: _before(Ledger, "sent"),
    "in the middle of the intent": lambda: _after(journal, "write"),  # written, not committed
    "after the intent": lambda: _after(Ledger, "sent"),
    "after the server's acknowledgement": lambda: _before(Ledger, "stored"),
    "in the middle of confirming": lambda: _after(journal, "advance"),
    "after confirming": lambda: _after(Ledger, "stored"),
    "before folding": lambda: _before(Ledger, "fold"),
    "in the middle of folding": lambda: _before(journal, "drop"),
    "after folding": lambda: _after(Ledger, "fold"),
    "after all calls, before the acknowledgement": lambda: _after(Storage, "append"),
    "before the acknowledgement": lambda: _before(ingest, "_Taken"),
}


if __name__ == "__main__":
    STEPS[sys.argv.pop(1)]()
    sys.exit(main())
