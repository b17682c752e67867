"""How many cores each process keeps busy during a load test."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Self

import psutil

_EVERY_SECONDS = 0.5


class CpuSample(NamedTuple):
    """The total CPU time of each process at an instant, in seconds."""

    at: float
    used: dict[str, float]


class CpuSampler:
    """Samples the CPU time of processes twice a second, as a context manager.

    Args:
        pids: The process ids, by name.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._samples: list[CpuSample] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def cores(self, begin: float, end: float) -> dict[str, float]:
        """How many cores each process kept busy between two instants, in seconds since the epoch."""
        within = [sample for sample in self._samples if begin <= sample.at <= end]
        if len(within) < 2:
            return {}
        first, last = within[0], within[-1]
        return {
            name: (used - first.used[name]) / (last.at - first.at)
            for name, used in last.used.items()
            if name in first.used
        }

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            self._samples.append(CpuSample(time.time(), self._used()))

    def _used(self) -> dict[str, float]:
        used = {}
        for name, process in self._processes.items():
            try:
                times = process.cpu_times()
                used[name] = times.user + times.system
            except psutil.NoSuchProcess:
                continue
        return used
