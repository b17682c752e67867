"""What Explain reports of a question, compared with the storage server's database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from privacyplease.client import Client, errors
from tests.services.proxy import proxying
from tests.services.storage import serving

DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 1, 23, tzinfo=UTC)
DEVICES = [f"02:00:00:00:00:{number:02}" for number in range(20)]
BATCHES = [range(12), range(12, 15), range(15, 20)]  # a segment each


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explain") / "cells.db"


@pytest.fixture(scope="module")
def client(store: Path) -> Iterator[Client]:
    with serving(f"sqlite:///{store}") as storage, proxying(store.parent / "home", storage.address) as proxy:
        for batch in BATCHES:
            proxy.ingest(
                "wifi",
                [
                    {
                        "client_mac": DEVICES[number],
                        "ap_name": f"ap-{number % 5}",
                        "association_time": f"2024-10-01T{8 + number % 3:02}:00:00Z",
                        "session_duration": "60",
                    }
                    for number in batch
                ],
            )
        with Client(proxy.address, insecure=True) as client:
            yield client


def test_explained_cells_are_those_on_the_server(client: Client, store: Path) -> None:
    seen = client.explain(*DAY)
    with sqlite3.connect(store) as database:
        stored = dict(database.execute("SELECT tag, sealed FROM cells"))
    assert seen.cells == len(seen.first_cells) == len(BATCHES)
    assert seen.first_tags == tuple(sorted(cell.tag for cell in seen.first_cells))
    assert seen.bytes == sum(each.size for each in seen.first_cells)
    for cell in seen.first_cells:
        octets = stored[cell.tag]
        assert (cell.head, cell.size) == (octets[:64], len(octets))


def test_subject_and_place_do_not_change_what_is_sent(client: Client) -> None:
    everybody = client.explain(*DAY)
    others = [
        client.explain(*DAY, place="ap-1"),
        client.explain(*DAY, place="nowhere"),
        client.explain(*DAY, device=DEVICES[3], purpose="test"),
        client.explain(*DAY, device="02:ff:ff:ff:ff:ff", purpose="test"),
    ]
    for other in others:
        assert (other.first_tags, other.cells, other.bytes) == (everybody.first_tags, everybody.cells, everybody.bytes)


def test_the_answer_is_that_of_the_question_itself(client: Client) -> None:
    everybody = client.explain(*DAY)
    assert everybody.answer == client.count(*DAY) == len(DEVICES)
    assert (everybody.records_opened, everybody.records_kept, everybody.records_distinct) == (20, 20, 20)
    one = client.explain(*DAY, place="ap-1")
    assert one.answer == one.records_kept == client.count(*DAY, place="ap-1") == 4
    assert one.records_opened == 20
    assert sum(cell.records_opened for cell in one.first_cells) == one.records_opened
    device = client.explain(*DAY, device=DEVICES[3], purpose="test")
    assert (device.answer, device.records_kept) == (1, 1)
    assert client.explain(*DAY, device=DEVICES[3], place="ap-1", purpose="test").answer == 0


def test_explaining_a_question_about_a_device_requires_a_purpose(client: Client) -> None:
    with pytest.raises(errors.PurposeRequiredError):
        client.explain(*DAY, device=DEVICES[3])


def test_a_question_without_matches_is_explained(client: Client) -> None:
    later = client.explain(datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC))
    assert (later.answer, later.tags, later.cells, later.first_cells) == (0, 0, 0, ())
