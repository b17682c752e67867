"""Messages that cannot be ingested: sealed in the dead letter topic, listed, and sent back."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Producer

from tests.integration.ingest.kafka_site import KafkaSite, session
from tests.services.consumer import ConsumerProcess
from tests.services.sessions import MAC

Start = Callable[..., ConsumerProcess]


MALFORMED_SESSIONS: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "record", "expected a session, got an empty message"),
    "nothing": (b"", "record", "expected a session, got an empty message"),
    "only a newline": (b"\r\n", "record", "expected a session, got an empty message"),
    "not UTF-8": (session(1).replace(b"Hall", b"H\xffll"), "record", "expected text in UTF-8"),
    "too few fields": (b"02:00:00:00:00:02\tHall-1", "record", "expected 14 or 15 fields, got 2"),
    "too many fields": (session(3) + b"\t\t\t", "record", "expected 14 or 15 fields, got 17"),
    "a newline within": (session(4) + b"\n" + session(5), "record", "expected no newline within a message"),
    "a field of 1 MB": (
        session(6, device="x" * 1_000_000),
        "device_name",
        "expected text of at most 65,536 bytes",
    ),
    "a message that is too large": (
        session(7, device="x" * 3_000_000),
        "record",
        "expected a message of at most 1,048,576 bytes",
    ),
    "no device": (session(8, mac="Hall-eight"), "client_mac", "expected a MAC address of 12 hexadecimal digits"),
    "no time": (
        session(9, start="at noon"),
        "association_time",
        "expected a time such as 'Thu Oct 15 08:12:01 UTC 2015', '2015-10-15 08:12:01' or ISO 8601",
    ),
    "no zone": (
        session(10, start="2024-10-01 08:00:00"),
        "association_time",
        "expected a time with a zone, or a time zone given for the whole log; got neither",
    ),
    "no length": (
        session(11, length="long"),
        "session_duration",
        "expected a duration such as '1 days 2 hrs 35 min 55 sec', or whole seconds, 0 or more",
    ),
}

_STATION = {"contract": "Besançon", "number": "12", "name": "Gare Viotte", "polled_at": 1_451_295_470_000}

MALFORMED_STATIONS: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "record", "expected a station, got an empty message"),
    "not UTF-8": (b'{"name": "Gare Viott\xe9"}', "record", "expected UTF-8"),
    "of the wrong shape": (json.dumps([_STATION]).encode(), "record", "expected a JSON object"),
    "a truncated array": (json.dumps([_STATION, _STATION])[:-20].encode(), "record", "expected JSON"),
    "null": (json.dumps({**_STATION, "number": None}).encode(), "number", "expected a value, got none"),
    "a missing key": (b'{"number": "3", "polled_at": 1451295470000}', "contract", "expected a value, got none"),
    "a number that is text": (
        json.dumps({**_STATION, "available_bikes": "three"}).encode(),
        "available_bikes",
        "expected a whole number",
    ),
    "a field of 1 MB": (
        json.dumps({**_STATION, "address": "x" * 1_000_000}).encode(),
        "address",
        "expected text of at most 65,536 bytes",
    ),
}


def _mixed(malformed: Sequence[bytes], good: Sequence[bytes]) -> list[bytes]:
    """Good and malformed messages, alternating."""
    mixed: list[bytes] = []
    for number, message in enumerate(good):
        mixed += [message, *malformed[number : number + 1]]
    return mixed


def test_malformed_sessions_become_sealed_dead_letters_and_the_others_are_stored(site: KafkaSite, start: Start) -> None:
    bad = [message for message, _, _ in MALFORMED_SESSIONS.values()]
    messages = _mixed(bad, [site.session(number) for number in range(100, 130)])
    site.produce(messages, keys=[f"02:00:00:00:01:{number:02x}" for number in range(len(messages))])
    consumer = start()
    assert site.caught_up()
    assert len(site.stored()) == 30

    letters = site.letters()
    listed = sorted((each["from"]["offset"], each["field"], each["reason"]) for each in letters)
    assert [each[1:] for each in listed] == [(field, reason) for _, field, reason in MALFORMED_SESSIONS.values()]
    for letter in letters:
        assert (letter["dataset"], letter["from"]["topic"], letter["from"]["partition"]) == ("wifi", site.topic, 1)
        assert _message(letter) == messages[letter["from"]["offset"]]
    _no_plaintext(site, [b"02:00", b"Hall", b"xxxxxxxx", b"noon"])

    assert consumer.stop() == 0
    assert "Hall" not in site.logs
    assert not MAC.search(site.logs)


def test_dead_letters_are_sent_back_once_each_unchanged(site: KafkaSite, start: Start) -> None:
    without_zone = [site.session(number, start=f"{site.day:%Y-%m-%d} 08:00:{number:02}") for number in range(20)]
    keys = [None if number == 3 else f"02:00:00:00:00:{number:02x}" for number in range(20)]
    headers = [("trace", b"\xff\x00"), ("trace", b"2"), ("empty", b""), ("null", None)]
    site.produce(without_zone, keys=keys, headers=headers)
    consumer = start()
    assert site.caught_up()
    assert consumer.stop() == 0
    assert site.stored() == set()

    assert site.ingest("dlq", "replay")["redriven"] == 20
    assert site.ingest("dlq", "replay")["redriven"] == 0
    assert all(letter["redriven"] for letter in site.letters())
    received = [(each.partition(), each.key(), each.value()) for each in site.kafka.messages(site.topic)]
    expected = [(1, key.encode() if key else None, message) for key, message in zip(keys, without_zone, strict=True)]
    assert received == expected + expected
    assert {str(each.headers()) for each in site.kafka.messages(site.topic)} == {str(headers)}
    times = [each.timestamp() for each in site.kafka.messages(site.topic)]
    assert times[:20] == times[20:]
    _no_plaintext(site, [b"trace"])

    start("--timezone", "Asia/Tokyo", name="with-zone")
    assert site.caught_up()
    assert len(site.stored()) == 20


def test_dead_letters_that_cannot_be_sent_back_are_counted_and_kept(site: KafkaSite, start: Start) -> None:
    assert site.letters() == []
    dlq = site.kafka.create_topic(f"{site.topic}.dlq", partitions=1, max_message_bytes="4000")
    site.produce([b"small", b"large" * 2_000])
    start()
    assert site.caught_up()
    letters = site.kafka.messages(dlq)
    small, large = sorted(letters, key=lambda each: len(each.value() or b""), reverse=True)
    sealed = small.value() or b""
    forged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    headers_of_small: Any = small.headers()
    elsewhere = [(name, b"elsewhere" if name == "topic" else value) for name, value in headers_of_small]
    producer = Producer({"bootstrap.servers": site.kafka.bootstrap})
    for value, headers in [(forged, small.headers()), (small.value(), elsewhere), (b"not a letter", None)]:
        producer.produce(dlq, value, headers=headers)
    assert producer.flush(30) == 0

    assert not large.value()
    listed = site.letters()
    assert sorted(str(each.get("message")) for each in listed[:2]) == ["None", "small"]
    assert [each.get("message") for each in listed[2:]] == [None, "small", None]
    assert [each["from"]["offset"] for each in listed if "still in its own topic" in each.get("omitted", "")] == [1]
    assert listed[4]["reason"] == "expected a dead letter, got another message"
    done = {"redriven": 1, "unopened": 1, "omitted": 1, "oversized": 0, "foreign": 2}
    assert site.ingest("dlq", "replay") == done
    site.kafka.delete_topic(dlq)


def test_malformed_stations_become_sealed_dead_letters_and_can_be_sent_back(site: KafkaSite, start: Start) -> None:
    bad = [message for message, _, _ in MALFORMED_STATIONS.values()]
    good = [json.dumps({**_STATION, "number": str(number)}).encode() for number in range(100, 110)]
    site.produce(_mixed(bad, good))
    consumer = start("--dataset", "bikes")
    assert site.caught_up()
    letters = sorted(site.letters(), key=lambda each: int(each["from"]["offset"]))
    assert [(each["field"], each["reason"]) for each in letters] == [
        expected[1:] for expected in MALFORMED_STATIONS.values()
    ]
    assert [_message(each) for each in letters] == bad
    period = datetime(2015, 1, 1, tzinfo=UTC), datetime(2016, 12, 31, tzinfo=UTC)
    assert site.client.query("bikes", *period, place="besançon").to_arrow().num_rows == len(good)
    _no_plaintext(site, ["Besançon".encode(), b"Viotte", b"xxxxxxxx", b"12951295"])
    assert consumer.stop() == 0
    assert site.ingest("dlq", "replay")["redriven"] == len(bad)
    start("--dataset", "bikes", name="again")
    assert site.caught_up()
    assert len(site.letters()) == 2 * len(bad)
    assert "Viotte" not in site.logs
    assert "esan" not in site.logs


def _message(letter: dict[str, Any]) -> bytes:
    if "message" in letter:
        return str(letter["message"]).encode()
    return base64.b64decode(letter["message_base64"])


def _no_plaintext(site: KafkaSite, words: Sequence[bytes]) -> None:
    for message in site.kafka.messages(f"{site.topic}.dlq"):
        assert message.key() == b"1"
        headers: Any = message.headers() or []
        parts = [message.value() or b"", *(value or b"" for _, value in headers)]
        for word in words:
            assert not any(word in part for part in parts), word
