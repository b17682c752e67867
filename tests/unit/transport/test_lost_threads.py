"""A process that loses a thread for want of memory ends, rather than to hang."""

from __future__ import annotations

import subprocess
import sys

import pytest

IN_A_THREAD = "threading.Thread(target=fail).start()"
AT_ITS_BEGINNING = "_thread.start_new_thread(fail, ())"  # outside of `threading`, which would report it


@pytest.mark.parametrize("start", [IN_A_THREAD, AT_ITS_BEGINNING])
@pytest.mark.parametrize(("error", "code"), [("MemoryError", 1), ("ValueError", 0)])
def test_only_a_thread_lost_for_want_of_memory_ends_the_process(start: str, error: str, code: int) -> None:
    program = f"""
import _thread, threading, time
from privacyplease.transport.lost_threads import exit_when_lost
exit_when_lost()
def fail():
    try:
        raise {error}
    finally:
        threading.Timer({0.5 if code == 0 else 30}, done.set).start()
done = threading.Event()
{start}
done.wait(30)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == code
    assert ("out of memory: a thread was lost" in ended.stderr) == bool(code)
