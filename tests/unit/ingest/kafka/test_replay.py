"""Replays to librdkafka's own mock cluster: no service is needed, and brokers can be made to fail."""

from __future__ import annotations

import io
import math
import threading
import time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacyplease.ingest import wifi
from privacyplease.ingest.errors import BrokerError, DeliveryError, SettingsError
from privacyplease.ingest.kafka.producer import Producer
from privacyplease.ingest.kafka.replay import Replay, parse_speed
from privacyplease.ingest.kafka.session_messages import render
from privacyplease.ingest.wifi.messages import parse
from tests.services.topics import Topics

HEADER = "Client MAC Address,AP Name,Association Time,Session Duration\n"
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t\0"), min_size=1).map(str.strip).filter(bool)
ATTRIBUTE = st.none() | TEXT
DAY = 86_400_000


def log(*lines: str) -> pa.Table:
    return pa.concat_tables(
        block.table for block in wifi.read(io.BytesIO("\n".join([HEADER.rstrip(), *lines, ""]).encode()))
    )


def read_back(values: pa.Array) -> pa.Table:
    # As the consumer does: in a file the layout is detected, and a value might be taken for a header.
    parsed = parse(values.to_pylist(), None)
    assert not parsed.rejects
    return parsed.table


class MockedCluster:
    """A producer with a mock cluster of its own, and the messages that it has sent."""

    def __init__(self, **settings: str | int) -> None:
        mock = {"test.mock.num.brokers": 1, "log_level": 0}
        self.producer = Producer("wifi", mock | {name.replace("_", "."): value for name, value in settings.items()})

    def messages(self) -> list[tuple[int, bytes, bytes]]:
        """Timestamp, key and value of each message, by timestamp."""
        brokers = self.producer._client.list_topics(timeout=5).brokers.values()
        messages = Topics(",".join(f"{broker.host}:{broker.port}" for broker in brokers)).messages("wifi")
        return sorted((each.timestamp()[1], each.key() or b"", each.value() or b"") for each in messages)


def test_a_session_becomes_a_line_of_fourteen_fields_keyed_by_device() -> None:
    table = log("02FB.AE12.7E8D,ap-14,Tue Oct 01 00:00:00 JST 2024,1 days 35 min", "nobody-0,ap,2024-10-01T00:00:00Z,0")
    messages = render(table)
    assert messages.keys.to_pylist() == ["02:fb:ae:12:7e:8d", "nobody-0"]
    assert messages.times.tolist() == [1727708400000, 1727740800000]
    assert messages.values.to_pylist() == [
        b"\t02FB.AE12.7E8D\tMon Sep 30 15:00:00 UTC 2024\t\tap-14\t\t\t\t\t\t\t1 days 0 hrs 35 min 0 sec\t\t",
        b"\tnobody-0\tTue Oct 01 00:00:00 UTC 2024\t\tap\t\t\t\t\t\t\t0 sec\t\t",
    ]


@pytest.mark.parametrize(
    "mac",
    ["aabbccddeeff", "AA:BB:CC:DD:EE:FF", "aa-bb-CC-dd-ee-ff", "AABB.ccdd.eeff", "aabb-CCdd-eeff", "aabbcc-ddeeff"],
)
def test_every_notation_of_an_address_gives_the_same_key(mac: str) -> None:
    table = log(f"{mac},ap,2024-10-01T00:00:00Z,0")
    assert render(table).keys.to_pylist() == ["aa:bb:cc:dd:ee:ff"]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(TEXT, TEXT, st.integers(0, 10**14), st.integers(0, 10**7), ATTRIBUTE, ATTRIBUTE, ATTRIBUTE),
        min_size=1,
    )
)
def test_rendered_sessions_are_read_back_unchanged(
    rows: list[tuple[str, str, int, int, str | None, str | None, str | None]],
) -> None:
    rows = [row for row in rows if row[0].lower() not in ("unknown", "not supported")]
    names = ["client_mac", "ap_name", "association_time", "session_duration", "vendor", "map_location", "record_id"]
    columns: dict[str, list[Any]] = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    kinds = {name: wifi.SCHEMA.field(name).type for name in wifi.SCHEMA.names}
    times = pa.array(columns["association_time"], pa.int64()).cast(kinds["association_time"])
    durations = pa.array([each * 1_000 for each in columns["session_duration"]], pa.int64())
    arrays = columns | {"association_time": times, "session_duration": durations.cast(kinds["session_duration"])}
    table = pa.table(
        [arrays.get(name, pa.nulls(len(rows), kinds[name])) for name in wifi.SCHEMA.names], schema=wifi.SCHEMA
    )
    assert read_back(render(table).values).equals(table)


def test_a_tab_within_a_field_becomes_a_space() -> None:
    table = log("a,ap\t1,2024-10-01T00:00:00Z,0")
    assert read_back(render(table).values)["ap_name"].to_pylist() == ["ap 1"]


def test_sessions_are_sent_in_order_with_the_association_time_as_timestamp() -> None:
    mocked = MockedCluster()
    tables = [log("b,ap,2024-10-02T00:00:00Z,5", "a,ap,2024-10-01T00:00:00Z,5"), log("c,ap,2024-10-01T12:00:00Z,5")]
    seen = list[int]()
    with mocked.producer as producer:
        assert Replay(tables).send(producer, on_progress=seen.append) == 3
        sent = mocked.messages()
    assert [(time, key) for time, key, _ in sent] == [
        (1727740800000, b"a"),
        (1727740800000 + DAY // 2, b"c"),
        (1727740800000 + DAY, b"b"),
    ]
    assert seen[-1] == 3


def test_speed_scales_the_time_between_sessions() -> None:
    replay = Replay([log(*(f"a,ap,2024-10-01T00:00:{second:02}Z,0" for second in (0, 6, 12)))])
    with MockedCluster().producer as producer:
        began = time.monotonic()
        replay.send(producer, speed=10)
        assert 1.2 <= time.monotonic() - began < 3


def test_a_stopped_replay_delivers_what_it_had_queued() -> None:
    replay, stop = Replay([log("a,ap,2024-10-01T00:00:00Z,0", "a,ap,2024-10-02T00:00:00Z,0")]), threading.Event()
    with MockedCluster().producer as producer:
        threading.Timer(0.3, stop.set).start()
        assert replay.send(producer, speed=1, stop=stop) == 1


def test_an_empty_log_is_not_an_error() -> None:
    with MockedCluster().producer as producer:
        assert Replay([]).send(producer) == 0
    assert Replay([]).earliest is None


def test_failed_deliveries_raise_an_error_with_their_count_and_the_rest_is_delivered() -> None:
    mocked = MockedCluster(message_max_bytes=1_000)
    lines = ["a,ap,2024-10-01T00:00:00Z,0", f"b,{'x' * 2_000},2024-10-01T00:00:00Z,0", "c,ap,2024-10-01T00:00:00Z,0"]
    with mocked.producer as producer:
        with pytest.raises(DeliveryError, match=r"expected 3 messages .* got 2: .*size too large") as failure:
            Replay([log(*lines)]).send(producer)
        assert [key for _, key, _ in mocked.messages()] == [b"a", b"c"]
    assert failure.value.failed == 1


def test_a_full_queue_blocks_the_sender_and_loses_nothing() -> None:
    mocked = MockedCluster(queue_buffering_max_messages=10)
    lines = [f"a,ap,2024-10-01T00:{minute:02}:{second:02}Z,0" for minute in range(10) for second in range(60)]
    with mocked.producer as producer:
        assert Replay([log(*lines)]).send(producer) == 600
        assert len({time for time, _, _ in mocked.messages()}) == 600


def test_a_stop_ends_the_wait_for_a_full_queue() -> None:
    class Full:
        def produce(self, *arguments: object, **options: object) -> None:
            raise BufferError

        def poll(self, seconds: float) -> None:
            time.sleep(seconds)

    mocked, stop = MockedCluster(), threading.Event()
    client, mocked.producer._client = mocked.producer._client, Full()  # type: ignore[assignment]
    threading.Timer(0.2, stop.set).start()
    assert not mocked.producer.send("a", b"", 0, stop=stop)
    assert (len(client), mocked.producer.delivered) == (0, 0)


def test_an_unreachable_broker_or_a_wrong_setting_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privacyplease.ingest.kafka.broker._RESPONSE_S", 0.5)
    with pytest.raises(BrokerError, match="expected a response from a Kafka broker"):
        Producer("wifi", {"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    with pytest.raises(SettingsError, match="expected settings"):
        Producer("wifi", {"no.such.setting": "1"})


@pytest.mark.parametrize(("text", "speed"), [("60x", 60), ("0.5X", 0.5), ("2", 2), (" max ", math.inf)])
def test_speeds_are_factors_or_max(text: str, speed: float) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "0x", "-1x", "fast", "1e3x", "inf"])
def test_other_speeds_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected a speed"):
        parse_speed(text)
