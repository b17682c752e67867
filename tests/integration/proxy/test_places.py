"""Places: counted together and in groups, and their locations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from privacyplease.client import Client, Dwell, Place, errors
from tests.services.proxy import proxying
from tests.services.storage import serving

DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)
BEFORE = datetime(2024, 9, 1, tzinfo=UTC), DAY[0]

# Device, place, location, start, seconds.
SESSIONS = [
    (1, "ap-1", "Campus > Library > Ground floor", "2024-10-01T08:00:00Z", 600),
    (1, "ap-2", "Campus > Library > Ground floor", "2024-10-01T09:00:00Z", 60),
    (2, "ap-2", "", "2024-10-01T09:30:00Z", 60),
    (3, "ap-3", "Campus > Library > First floor", "2024-10-01T09:00:00Z", 0),
    (1, "ap-3", "Campus > Library > Attic", "2024-09-15T09:00:00Z", 60),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("places")
    with serving(f"sqlite:///{folder}/cells.db") as storage, proxying(folder / "home", storage.address) as proxy:
        proxy.ingest(
            "wifi",
            [
                {
                    "client_mac": f"02:00:00:00:00:{who:02}",
                    "ap_name": place,
                    "map_location": location,
                    "association_time": start,
                    "session_duration": str(seconds),
                }
                for who, place, location, start, seconds in SESSIONS
            ],
        )
        with Client(proxy.address, insecure=True) as client:
            yield client


def test_a_device_at_several_of_the_places_counts_once(client: Client) -> None:
    assert client.count(*DAY, place=["ap-1", "ap-2"]) == 2
    assert client.count(*DAY, place=["ap-1", "ap-3", "nowhere"]) == 2
    assert client.occupancy(*DAY, timedelta(days=1), place=["ap-1", "ap-2"]).peak.distinct_devices == 2
    assert client.peak(*DAY, timedelta(hours=1), place=["ap-1", "ap-2"]).distinct_devices == 2


def test_a_group_counts_as_one_place(client: Client) -> None:
    floors = {"Ground floor": ["ap-1", "ap-2"]}
    found = client.count_by_place(*DAY, groups=floors)
    assert [(each.place, each.distinct_devices) for each in found] == [("Ground floor", 2), ("ap-3", 1)]


def test_a_places_location_is_that_of_its_latest_session_with_one(client: Client) -> None:
    assert list(client.list_places(*DAY)) == [
        Place("ap-1", "Campus > Library > Ground floor"),
        Place("ap-2", "Campus > Library > Ground floor"),
        Place("ap-3", "Campus > Library > First floor"),
    ]
    assert list(client.list_places(*BEFORE)) == [Place("ap-3", "Campus > Library > Attic")]
    assert list(client.list_places(*BEFORE, dataset="bikes")) == []


def test_dwell_classifies_sessions_and_counts_returning_devices(client: Client) -> None:
    bounds = timedelta(minutes=1), timedelta(minutes=5)
    found = client.dwell(*DAY, bounds=bounds, look_back=timedelta(days=30))
    assert found == Dwell(bounds, (1, 2, 1), timedelta(minutes=1), returning_devices=1, new_devices=2)
    assert client.dwell(*DAY, look_back=timedelta(days=1)).returning_devices == 0
    assert client.dwell(*DAY, place=["ap-1", "ap-2"]).sessions == (3,)
    empty = client.dwell(DAY[1], DAY[1])
    assert (empty.sessions, empty.median) == ((0,), None)


def test_an_invalid_request_is_refused_naming_the_field(client: Client) -> None:
    for field, question in (
        ("places", lambda: client.count(*DAY, place=["ap-1", ""])),
        ("places", lambda: client.count(*DAY, place=[f"ap-{n}" for n in range(4_097)])),
        ("groups.places", lambda: client.count_by_place(*DAY, groups={"a": ["ap-1"], "b": ["ap-1"]})),
        ("groups.name", lambda: client.count_by_place(*DAY, groups={"": ["ap-1"]})),
        ("bounds", lambda: client.dwell(*DAY, bounds=[timedelta(2), timedelta(1)])),
    ):
        with pytest.raises(errors.RequestError) as refused:
            question()
        assert refused.value.metadata["field"] == field
    with pytest.raises(ValueError, match="at least"):
        client.count(*DAY, place=[])
