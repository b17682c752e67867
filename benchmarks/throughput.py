"""Questions a second, by 1, 4 and 16 clients that ask without a pause."""

from __future__ import annotations

import multiprocessing
import threading
import time
import zlib
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.questions import Question, mixed
from benchmarks.results import Results, Row, held
from benchmarks.rounds import in_turn
from benchmarks.sides import Side
from benchmarks.targets import THROUGHPUT
from benchmarks.world import World
from privacyplease.client import Client

CLIENTS = (1, 4, 16)
_PROCESSES = 4  # a Python process cannot ask for more than one core
_QUESTIONS = 330
_SECONDS = 5.0
_START_S = 120.0
_LONGEST_S = 20.0


def run(world: World, results: Results, rounds: int) -> None:
    """Measures both sides in turn, for each number of clients."""
    section = results.section(
        f"throughput-{world.data.sessions}",
        f"Questions a second of {world.data.sessions:,} sessions",
        "Presence 1 d and 7 d, counts at a place 1 h and 1 d, occupancy 1 d, devices and places by popularity; "
        f"{_SECONDS:g} s a round; clients share {_PROCESSES} processes; answers are compared.",
    )
    questions = mixed(world.data, _QUESTIONS)
    asked = _Asked(questions)
    sides = {"encrypted": world.encrypted.side, "plaintext": world.plaintext}
    for clients in CLIENTS:
        runs = {name: partial(asked.rate, side, clients) for name, side in sides.items()}
        rates = in_turn(runs, rounds, _LONGEST_S)
        targets = [THROUGHPUT] if clients == max(CLIENTS) else []
        bounds = held(targets, rates["encrypted"] / rates["plaintext"], world.data.sessions)
        what = f"mixed, {clients} client{'s' if clients > 1 else ''}"
        section.add(Row(what, rates["encrypted"], rates["plaintext"], "questions/s", bounds))


class _Answered(NamedTuple):
    """What one process did: how many questions it had answered, in which time, and what the answers were."""

    number: int
    seconds: float
    answers: dict[int, int]


class _Asked:
    """Questions, and their answers as far as they are known."""

    def __init__(self, questions: list[Question]) -> None:
        self._questions = questions
        self._answers: dict[int, int] = {}

    def rate(self, side: Side, clients: int) -> float:
        """Answers a second."""
        processes = min(clients, _PROCESSES)
        context = multiprocessing.get_context("spawn")  # gRPC does not survive a fork
        start, done = context.Barrier(processes), context.Queue()
        shares = [clients // processes] * processes
        running = [
            context.Process(
                target=_process,
                args=(side.address, side.certificates, self._questions, number, share, start, done),
            )
            for number, share in enumerate(shares)
        ]
        for process in running:
            process.start()
        answered = [done.get(timeout=_START_S) for _ in running]
        for process in running:
            process.join()
        for each in answered:
            self._compare(each.answers)
        return sum(each.number / each.seconds for each in answered)

    def _compare(self, answers: dict[int, int]) -> None:
        for number, answer in answers.items():
            if self._answers.setdefault(number, answer) != answer:
                raise RuntimeError(f"the two sides do not answer {self._questions[number]} alike")


def _process(
    address: str,
    certificates: Path,
    questions: list[Question],
    offset: int,
    clients: int,
    start: Barrier,
    done: Queue[Any],
) -> None:
    """Asks from several threads until the time is over. Each begins elsewhere in the list."""
    answers: dict[int, int] = {}
    counts: list[int] = []
    with Client(address, certificates=certificates) as client:
        questions[offset].ask(client)
        start.wait(_START_S)
        began = time.perf_counter()

        def ask(first: int) -> None:
            number = first
            while time.perf_counter() - began < _SECONDS:
                at = number % len(questions)
                answers[at] = _digest(questions[at].ask(client))
                number += 1
            counts.append(number - first)

        threads = [threading.Thread(target=ask, args=(67 * offset + 17 * each,)) for each in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done.put(_Answered(sum(counts), time.perf_counter() - began, answers))


def _digest(answer: object) -> int:
    """Equal for equal answers, in every process."""
    return zlib.crc32(repr(answer).encode())
