"""Signals that arrive while the main thread is anywhere, in particular between two instructions of a wait."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from privacyplease.transport.stop_signals import stop_on_signal

_WAITING = """
from privacyplease.transport.stop_signals import stop_on_signal
with stop_on_signal() as stop:
    print("waiting", flush=True)
    while not stop.is_set():
        stop.wait(0)  # most of the time the signal finds the event's lock held
    print("stopped", flush=True)
"""
_TIMES = 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_wait_ends_it(number: signal.Signals) -> None:
    def stopped(_: int) -> str:
        with subprocess.Popen(
            [sys.executable, "-c", _WAITING], stdout=subprocess.PIPE, text=True, preexec_fn=_as_started_by_a_person
        ) as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()
                process.send_signal(number)
                return process.communicate(timeout=60)[0].strip()
            finally:
                process.kill()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(stopped, range(_TIMES))) == ["stopped"] * _TIMES


def test_the_first_signal_sets_the_event_and_afterwards_all_is_as_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signal() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(60)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # a second one would end the process
    assert signal.getsignal(signal.SIGTERM) == before
    assert "stop signals" not in {thread.name for thread in threading.enumerate()}


def _as_started_by_a_person() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
