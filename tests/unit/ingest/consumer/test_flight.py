import threading
import time

from privacyplease.ingest.consumer.batch import Batch
from privacyplease.ingest.consumer.flight import Flight


def _batches(flight: Flight, count: int) -> list[Batch]:
    batches = [Batch([], {}, {}) for _ in range(count)]
    for batch in batches:
        flight.add(batch)
    return batches


def test_batches_are_finished_in_the_order_in_which_they_set_out() -> None:
    flight = Flight(3)
    first, second, third = _batches(flight, 3)
    flight.landed(second)
    assert flight.finished() == []
    flight.landed(first)
    assert flight.finished() == [first, second]
    assert not flight.full
    flight.landed(third)
    assert flight.finished() == [third]


def test_a_full_flight_waits_until_its_oldest_lands() -> None:
    flight = Flight(2)
    first, second = _batches(flight, 2)
    assert flight.full
    flight.landed(second)
    assert not flight.wait_for_room(0.05)
    threading.Timer(0.05, flight.landed, [first]).start()
    assert flight.wait_for_room(5)


def test_whoever_waits_for_all_may_give_up() -> None:
    flight = Flight(2)
    first, second = _batches(flight, 2)
    began = time.monotonic()
    assert not flight.wait_for_all(30, given_up=lambda: time.monotonic() > began + 0.2)
    assert not flight.wait_for_all(0.1)
    assert time.monotonic() < began + 5
    flight.landed(first)
    flight.landed(second)
    assert flight.wait_for_all(0)
