"""Ends a process that has lost a thread for want of memory, so that it is started again.

Whoever started the thread may wait for it for ever, and the process would look alive and answer nothing. Like any
crash, that loses nothing that was acknowledged.
"""

from __future__ import annotations

import os
import sys
import threading

_EXIT_CODE = 1
_MESSAGE = b"error: out of memory: a thread was lost; exiting\n"


def exit_when_lost() -> None:
    """From now on, a thread that ends with a `MemoryError`, or cannot even begin, ends the process."""
    report, report_thread = sys.unraisablehook, threading.excepthook

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        _exit_if_out_of_memory(lost.exc_type)
        report(lost)

    def ended(lost: threading.ExceptHookArgs) -> None:
        _exit_if_out_of_memory(lost.exc_type)
        report_thread(lost)

    sys.unraisablehook, threading.excepthook = unraisable, ended


def _exit_if_out_of_memory(kind: type[BaseException]) -> None:
    if issubclass(kind, MemoryError):
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, _MESSAGE)
        os._exit(_EXIT_CODE)
