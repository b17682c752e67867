"""What is attacked: the product in the working tree, and the two controls."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attacks.campus import Fortnight
from attacks.deterministic import Deterministic
from attacks.product import Product, UnsupportedError, installed
from attacks.recording import Recording, groups
from attacks.scenario import happen
from attacks.trace import HOUR
from attacks.view import Evidence
from attacks.volume import arrivals

BINS = Path(__file__).parent / "control" / "bins"

# The proxy's cell cache in MiB, on alternate days: its default, and none. So the trace shows what it fetches again and
# what it does not, and on every other day all questions reach the server.
_CACHE_MIB = (None, 0)

# With cover, flushes follow the wall clock: this many seconds stand for an hour of two days of the second week.
COVER = "1s"
_SECONDS_AN_HOUR = 2.0
_COVER_RECORDS = 1_024  # more than arrive in half an hour, so that no record waits
_COVERED = range(7 * 24, 9 * 24)
COVERED_HOURS = len(_COVERED)

Floats = npt.NDArray[np.float64]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class ScenarioSettings:
    """What to simulate. The recorded control was made with these settings.

    Attributes:
        devices: How many devices.
        places: How many places; a multiple of eight, since lectures move within buildings of eight.
        questions: About how many questions.
        seed: The seed of the simulation.
    """

    devices: int = 250
    places: int = 40
    questions: int = 600
    seed: int = 2024

    @property
    def fortnight(self) -> Fortnight:
        """What is logged."""
        return Fortnight.simulated(self.devices, self.places, self.seed)


def product(settings: ScenarioSettings, on_progress: Progress) -> Recording:
    """A fortnight with the product in the working tree."""
    fortnight = settings.fortnight
    truth, divided = fortnight.truth(settings.questions), groups(fortnight.knowledge)
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder, installed(Path(folder)) as running:

        def morning(day: int) -> None:
            on_progress(f"day {day + 1} of 14")
            running.start(_CACHE_MIB[day % len(_CACHE_MIB)])

        happen(running, fortnight, truth.questions, running.clock, nightly=morning)
        return Recording(running.relay.trace(), fortnight.knowledge, truth, divided, groups_known=True)


def deterministic(settings: ScenarioSettings) -> Recording:
    """The same fortnight with the deterministic store."""
    fortnight, store = settings.fortnight, Deterministic(settings.seed)
    truth = fortnight.truth(settings.questions)
    happen(store, fortnight, truth.questions, store.clock)
    return Recording(store.trace(), fortnight.knowledge, truth, groups(fortnight.knowledge), groups_known=True)


def bins() -> Recording:
    """A fortnight with an earlier version of the product, which had bins."""
    return Recording.read(BINS)


def covered(settings: ScenarioSettings, on_progress: Progress) -> tuple[Floats, Floats] | None:
    """Bytes that arrived and sessions logged in each hour of two days with `cover`; None if there is no cover."""
    fortnight = settings.fortnight
    first = fortnight.knowledge.first + _COVERED.start * HOUR
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder, installed(Path(folder)) as running:
        running.define(cover=COVER, cover_records=_COVER_RECORDS)
        try:
            running.start()
        except UnsupportedError as error:
            on_progress(f"no cover: {error}")
            return None
        on_progress(f"{len(_COVERED)} hours with cover")
        logged = _paced(running, fortnight)
        arrived = arrivals(Evidence(running.relay.trace()), first, len(_COVERED))
        return arrived, np.array(logged, np.float64)


def _paced(running: Product, fortnight: Fortnight) -> list[int]:
    """Lets hours pass by the wall clock, however long ingest takes; returns how many sessions each had."""
    first, began = fortnight.knowledge.first, time.monotonic()
    logged, sent = list[int](), list[Future[None]]()
    with ThreadPoolExecutor(1) as sending:
        for number, hour in enumerate(_COVERED, start=1):
            running.clock(first + hour * HOUR)
            logged.append(fortnight.logged(hour).num_rows)
            if logged[-1]:
                sent.append(sending.submit(running.ingest, fortnight.logged(hour)))
            time.sleep(max(0.0, began + number * _SECONDS_AN_HOUR - time.monotonic()))
        running.clock(first + _COVERED.stop * HOUR)
        for batch in sent:
            batch.result()
    return logged
