"""Questions per second, from 1, 4 and 16 clients that ask without a pause."""

from __future__ import annotations

import multiprocessing
import threading
import time
import zlib
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

from benchmarks.interleaved_runs import run_interleaved
from benchmarks.questions import BenchmarkQuestion, mixed
from benchmarks.results import BenchmarkResults, Measurement, held_against
from benchmarks.system_pair import SystemPair
from benchmarks.systems import System
from benchmarks.targets import THROUGHPUT
from privacyplease.client import Client

CLIENTS = (1, 4, 16)
_PROCESSES = 4  # a Python process cannot use more than one core
_QUESTIONS = 330
_SECONDS = 5.0
_START_S = 120.0
_LONGEST_S = 20.0


def run(pair: SystemPair, results: BenchmarkResults, rounds: int) -> None:
    """Measures both sides in turn, for each number of clients."""
    section = results.section(
        f"throughput-{pair.data.sessions}",
        f"Questions a second of {pair.data.sessions:,} sessions",
        "Presence 1 d and 7 d, counts at a place 1 h and 1 d, occupancy 1 d, devices and places by popularity; "
        f"{_SECONDS:g} s a round; clients share {_PROCESSES} processes; answers are compared.",
    )
    load = _ClosedLoop(mixed(pair.data, _QUESTIONS))
    sides = {"encrypted": pair.encrypted.system, "plaintext": pair.plaintext}
    for clients in CLIENTS:
        runs = {name: partial(load.rate, system, clients) for name, system in sides.items()}
        rates = run_interleaved(runs, rounds, _LONGEST_S)
        targets = [THROUGHPUT] if clients == max(CLIENTS) else []
        bounds = held_against(targets, rates["encrypted"] / rates["plaintext"], pair.data.sessions)
        what = f"mixed, {clients} client{'s' if clients > 1 else ''}"
        section.add(Measurement(what, rates["encrypted"], rates["plaintext"], "questions/s", bounds))


class _ProcessResult(NamedTuple):
    """The result of one process: how many answers it got, in how many seconds, and a digest of each answer."""

    answered: int
    seconds: float
    digests: dict[int, int]


class _ClosedLoop:
    """Clients that each send the next question as soon as the last is answered; all answers must agree."""

    def __init__(self, questions: list[BenchmarkQuestion]) -> None:
        self._questions = questions
        self._digests: dict[int, int] = {}

    def rate(self, system: System, clients: int) -> float:
        """Lets the clients ask, and returns the answers per second."""
        processes = min(clients, _PROCESSES)
        context = multiprocessing.get_context("spawn")  # gRPC does not survive a fork
        start, done = context.Barrier(processes), context.Queue()
        shares = [clients // processes] * processes
        running = [
            context.Process(
                target=_process,
                args=(system.address, system.certificates, self._questions, number, share, start, done),
            )
            for number, share in enumerate(shares)
        ]
        for process in running:
            process.start()
        results: list[_ProcessResult] = [done.get(timeout=_START_S) for _ in running]
        for process in running:
            process.join()
        for result in results:
            self._compare(result.digests)
        return sum(result.answered / result.seconds for result in results)

    def _compare(self, digests: dict[int, int]) -> None:
        for number, digest in digests.items():
            if self._digests.setdefault(number, digest) != digest:
                question = self._questions[number]
                raise RuntimeError(f"expected equal answers from both sides, got different ones to {question}")


def _process(
    address: str,
    certificates: Path,
    questions: list[BenchmarkQuestion],
    offset: int,
    clients: int,
    start: Barrier,
    done: Queue[_ProcessResult],
) -> None:
    """Asks from several threads until the time is up. Each thread starts at a different question."""
    digests: dict[int, int] = {}
    counts: list[int] = []
    with Client(address, certificates=certificates) as client:
        questions[offset].ask(client)
        start.wait(_START_S)
        began = time.perf_counter()

        def ask(first: int) -> None:
            number = first
            while time.perf_counter() - began < _SECONDS:
                index = number % len(questions)
                digests[index] = _digest(questions[index].ask(client))
                number += 1
            counts.append(number - first)

        threads = [threading.Thread(target=ask, args=(67 * offset + 17 * client,)) for client in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done.put(_ProcessResult(sum(counts), time.perf_counter() - began, digests))


def _digest(answer: object) -> int:
    """A digest that is the same for equal answers in every process."""
    return zlib.crc32(repr(answer).encode())
