import threading
import time

from privacyplease.ingest.kafka.consumer.batch import MessageBatch
from privacyplease.ingest.kafka.consumer.in_flight import InFlightBatches


def _batches(in_flight: InFlightBatches, count: int) -> list[MessageBatch]:
    batches = [MessageBatch([], {}, {}) for _ in range(count)]
    for batch in batches:
        in_flight.add(batch)
    return batches


def test_batches_are_popped_in_the_order_in_which_they_were_added() -> None:
    in_flight = InFlightBatches(3)
    first, second, third = _batches(in_flight, 3)
    in_flight.mark_done(second)
    assert in_flight.pop_done() == []
    in_flight.mark_done(first)
    assert in_flight.pop_done() == [first, second]
    assert not in_flight.full
    in_flight.mark_done(third)
    assert in_flight.pop_done() == [third]


def test_when_full_it_waits_until_the_oldest_batch_is_done() -> None:
    in_flight = InFlightBatches(2)
    first, second = _batches(in_flight, 2)
    assert in_flight.full
    in_flight.mark_done(second)
    assert not in_flight.wait_for_room(0.05)
    threading.Timer(0.05, in_flight.mark_done, [first]).start()
    assert in_flight.wait_for_room(5)


def test_waiting_for_all_ends_when_given_up_or_timed_out() -> None:
    in_flight = InFlightBatches(2)
    first, second = _batches(in_flight, 2)
    started = time.monotonic()
    assert not in_flight.wait_for_all(30, given_up=lambda: time.monotonic() > started + 0.2)
    assert not in_flight.wait_for_all(0.1)
    assert time.monotonic() < started + 5
    in_flight.mark_done(first)
    in_flight.mark_done(second)
    assert in_flight.wait_for_all(0)
