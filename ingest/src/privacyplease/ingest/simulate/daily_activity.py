"""A day on a simulated campus: which device visits which place and when, and the sessions that access points log."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from privacyplease.ingest.simulate.campus import CampusMap, Purpose
from privacyplease.ingest.simulate.devices import DeviceKind, Devices

__all__ = ["SimulatedSessions", "Visits", "sessions", "visits"]

_HOUR = 3_600

# The day's slots: night, two lectures, lunch, three lectures, evening. In hours.
_FROM = np.array([0.0, 8.25, 10.0, 11.6, 12.9, 14.5, 16.1, 18.0])
_UNTIL = np.array([8.2, 9.75, 11.5, 12.75, 14.4, 16.0, 17.75, 24.0])

# How likely a device of each kind is on campus in each slot of a weekday that it attends, and how likely it attends.
_PRESENCE = np.array([
    [0.25, 0.60, 0.85, 0.80, 0.80, 0.70, 0.45, 0.30],
    [0.01, 0.75, 0.95, 0.80, 0.90, 0.85, 0.70, 0.10],
    [0.02, 0.20, 0.60, 0.70, 0.60, 0.50, 0.30, 0.20],
    [1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00],
])  # fmt: skip
_ATTENDANCE = np.array([0.88, 0.92, 0.40, 1.00])
_WEEKEND_ATTENDANCE = np.array([0.25, 0.06, 0.30, 1.00])

# Where each kind then is. None is home: the dormitory, the office, or where the thing is mounted.
_T, _C, _L, _H = Purpose.TEACHING, Purpose.CANTEEN, Purpose.LIBRARY, None
_WHERE = (
    (_H, _T, _T, _C, _T, _T, _L, _H),
    (_H, _H, _H, _C, _H, _H, _H, _H),
    (_H, _H, _T, _C, _L, _T, _H, _C),
    (_H,) * 8,
)
_ELSEWHERE = 0.15  # of people's visits are to any other place

# Sessions per hour, after the first of a visit. Phones wake up for a moment, synchronise, and sleep again.
_RATES = np.array([4.5, 4.5, 5.0, 0.8])
_NIGHT = 0.25  # times that at night

_ROAMS = 0.35  # of sessions are at a neighbouring access point
_STAYS = 0.20  # of first sessions last as long as the visit, and overlap the others
_INSTANT = 0.38  # of the others last 0 s, as more than a third do in real logs
_MEDIAN, _SPREAD = 240.0, 1.4  # of the rest: log-normal, in seconds


class Visits(NamedTuple):
    """Visits of devices to places: int64[n], times in seconds of the day; `rate` is float64[n], sessions per hour."""

    device: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    rate: npt.NDArray[np.float64]


class SimulatedSessions(NamedTuple):
    """The sessions logged, sorted by start: int64[n]; `start` in seconds of the day, `length` in seconds."""

    device: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]


def visits(devices: Devices, campus: CampusMap, *, weekend: bool, rng: np.random.Generator) -> Visits:
    """Decides who is where on one day."""
    attends = rng.random(len(devices)) < (_WEEKEND_ATTENDANCE if weekend else _ATTENDANCE)[devices.kind]
    present = attends[:, None] & (rng.random((len(devices), len(_FROM))) < _PRESENCE[devices.kind])
    device, slot = np.nonzero(present)
    # People come late and leave early by minutes; at night devices reconnect within hours.
    late, early = rng.exponential(np.where(slot == 0, _HOUR, 300)), rng.exponential(300, len(device))
    end = (_UNTIL[slot] * _HOUR - early).astype(np.int64)
    start = np.minimum((_FROM[slot] * _HOUR + late).astype(np.int64), end)
    rate = _RATES[devices.kind[device]] * np.where(slot == 0, _NIGHT, 1.0)
    return Visits(device, _places(devices, campus, device, slot, rng), start, end, rate)


def _places(
    devices: Devices,
    campus: CampusMap,
    device: npt.NDArray[np.int64],
    slot: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    place = devices.home[device]
    wanted = np.array([[-1 if purpose is None else purpose for purpose in row] for row in _WHERE])[
        devices.kind[device], slot
    ]
    for purpose in (_T, _C, _L):
        place = np.where(wanted == purpose, campus.draw(purpose, len(place), rng), place)
    strays = (rng.random(len(place)) < _ELSEWHERE) & (devices.kind[device] != DeviceKind.THING)
    return np.where(strays, campus.draw(None, len(place), rng), place)


def sessions(visits: Visits, campus: CampusMap, rng: np.random.Generator) -> SimulatedSessions:
    """Decides what access points log of the visits of one day."""
    span = visits.end - visits.start
    count = 1 + rng.poisson(visits.rate * span / _HOUR)
    visit = np.repeat(np.arange(len(count)), count)
    first = np.diff(visit, prepend=-1) > 0
    offset = np.where(first, 0, rng.random(len(visit)) * span[visit]).astype(np.int64)
    steps = rng.integers(1, 3, len(visit)) * rng.choice((-1, 1), len(visit))
    roams = ~first & (rng.random(len(visit)) < _ROAMS)
    place = campus.neighbour(visits.place[visit], np.where(roams, steps, 0))
    rest = span[visit] - offset
    return _sorted(
        SimulatedSessions(visits.device[visit], place, visits.start[visit] + offset, _lengths(rest, first, rng)),
        len(campus),
    )


def _lengths(
    rest: npt.NDArray[np.int64], first: npt.NDArray[np.bool_], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draws lengths, none longer than the rest of the visit."""
    drawn = rng.lognormal(np.log(_MEDIAN), _SPREAD, len(rest)).astype(np.int64)
    drawn[rng.random(len(rest)) < _INSTANT] = 0
    stays = first & (rng.random(len(rest)) < _STAYS)
    return np.where(stays, rest, np.minimum(drawn, rest))


def _sorted(unsorted: SimulatedSessions, places: int) -> SimulatedSessions:
    """Sorts by start; of several sessions of a device at a place that start in the same second, only one is logged."""
    key = (unsorted.start * (unsorted.device.max(initial=0) + 1) + unsorted.device) * places + unsorted.place
    _, order = np.unique(key, return_index=True)
    return SimulatedSessions(*(column[order] for column in unsorted))
