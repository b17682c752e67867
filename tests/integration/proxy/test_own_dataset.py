"""A user's own data set, exactly as in docs/DATASETS.md: defined, ingested, queried and extended."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.v1 import (
    ingest_service_pb2,
    occupancy_service_pb2,
    presence_service_pb2,
    query_service_pb2,
)
from tests.services.proxy import Proxied, interval, proxying
from tests.services.storage import Served

PAGE = (Path(__file__).parents[3] / "docs" / "DATASETS.md").read_text(encoding="utf-8")
(DEFINITION,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
(RECORD,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)

START = 1_727_762_400_000  # 2024-10-01T08:00:00+02:00
DAY = interval(START - 43_200_000, START + 43_200_000)

MORE = [
    {
        "badge": "B-7",
        "door": "north",
        "read_at": "2024-10-01T06:10:00Z",
        "stay": 7200,
        "floor": -1,
        "temperature": 20.5,
    },
    {"badge": "B-7", "door": "Café, 2. Stock", "read_at": "2024-10-01T09:00:00Z", "stay": 0, "escorted": True},
    {"badge": "B-1042", "door": "south", "read_at": "2024-10-01T10:00:00Z", "stay": 60},
]


def test_the_documented_example_is_ingested_and_queried(tmp_path: Path, storage: Served) -> None:
    define(tmp_path / "home", DEFINITION)
    with proxying(tmp_path / "home", storage.address) as proxy:
        acknowledged = ingest(proxy, [json.loads(RECORD), *MORE])
        assert (acknowledged.accepted, list(acknowledged.rejections)) == (4, [])
        assert described(proxy) == {
            "badge": "string",
            "door": "string",
            "read_at": "timestamp",
            "stay": "duration",
            "floor": "int",
            "temperature": "float",
            "escorted": "bool",
        }
        assert presence(proxy, "B-1042") == ["north", "south"]
        assert presence(proxy, "B-1042", place="south") == ["south"]
        assert presence(proxy, "b-1042") == []
        assert count(proxy) == 2
        assert count(proxy, place="north") == 2
        assert count(proxy, place="Café, 2. Stock") == 1
        assert proxy.records("badges", START, START + 45_500, subject="B-1042").to_pylist() == [
            {
                "badge": "B-1042",
                "door": "north",
                "read_at": datetime(2024, 10, 1, 6, tzinfo=UTC),
                "stay": timedelta(seconds=45.5),
                "floor": 3,
                "temperature": None,
                "escorted": False,
            }
        ]
        some = proxy.records("badges", START, START + 43_200_000, columns=["floor", "badge"], subject="B-7")
        assert some.to_pylist() == [{"floor": -1, "badge": "B-7"}, {"floor": None, "badge": "B-7"}]


def test_bad_records_are_reported_by_field(tmp_path: Path, storage: Served) -> None:
    define(tmp_path / "home", DEFINITION)
    good = json.loads(RECORD)
    with proxying(tmp_path / "home", storage.address) as proxy:
        bad: list[dict[str, Any]] = [{"badge": ""}, {"door": None}, {"read_at": "2024-10-01 08:00"}, {"stay": -1}]
        acknowledged = ingest(proxy, [good | change for change in bad])
    assert [(rejection.row, rejection.field) for rejection in acknowledged.rejections] == [
        (row, next(iter(change))) for row, change in enumerate(bad)
    ]


def test_a_column_can_be_added_later(tmp_path: Path, storage: Served) -> None:
    define(tmp_path / "home", DEFINITION)
    with proxying(tmp_path / "home", storage.address) as proxy:
        ingest(proxy, [json.loads(RECORD)])
    define(tmp_path / "home", DEFINITION.replace('escorted = "bool"', 'escorted = "bool"\ncompany = "string"'))
    with proxying(tmp_path / "home", storage.address) as proxy:
        ingest(proxy, [MORE[2] | {"company": "ACME"}])
        found = proxy.records("badges", START, START + 43_200_000, columns=["door", "company"])
        assert found.to_pylist() == [{"door": "north", "company": None}, {"door": "south", "company": "ACME"}]


def test_a_dropped_column_returns_with_its_stored_values(tmp_path: Path, storage: Served) -> None:
    for definition, columns in (
        (DEFINITION, ["door", "floor"]),
        (DEFINITION.replace('floor = "int"\n', ""), ["door"]),
        (DEFINITION, ["door", "floor"]),
    ):
        define(tmp_path / "home", definition)
        with proxying(tmp_path / "home", storage.address) as proxy:
            ingest(proxy, [json.loads(RECORD)] if len(columns) == 2 else [MORE[2]])
            proxy.compact("badges", include_open=True)
            found = proxy.records("badges", START, START + 43_200_000, columns=columns)
    assert found.to_pylist() == [{"door": "north", "floor": 3}, {"door": "south", "floor": None}]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epoch_days = 30", "epoch_days = 1", "are fixed once data is stored"),
        ('place = "door"', 'place = "zone"', "are fixed once data is stored"),
        ('floor = "int"', 'floor = "string"', "column 'floor' is stored as int; got string"),
        ('floor = "int"', 'floor = "number"', r"badges\.toml: columns\.floor: expected one of"),
    ],
)
def test_a_proxy_does_not_start_with_a_definition_that_would_lose_data(
    tmp_path: Path, storage: Served, old: str, new: str, message: str
) -> None:
    define(tmp_path / "home", DEFINITION)
    with proxying(tmp_path / "home", storage.address) as proxy:
        ingest(proxy, [json.loads(RECORD)])
    define(tmp_path / "home", DEFINITION.replace(old, new).replace("[columns]", '[columns]\nzone = "string"'))
    with pytest.raises(ConfigurationError, match=message), proxying(tmp_path / "home", storage.address):
        pass


def test_unreadable_lines_are_rejected_and_the_rest_is_stored(tmp_path: Path, storage: Served) -> None:
    define(tmp_path / "home", DEFINITION)
    with proxying(tmp_path / "home", storage.address) as proxy:
        lines = "\n".join(["!", json.dumps(json.loads(RECORD) | {"floor": "third"}), RECORD.replace("\n", " ")])
        request = ingest_service_pb2.IngestRequest(dataset="badges", json_lines=lines)
        (answer,) = proxy.ingestion.Ingest(iter([request]))
        assert [(each.row, each.field) for each in answer.rejections] == [(0, "json_lines"), (1, "floor")]
        assert answer.accepted == count(proxy) == 1


def define(home: Path, text: str) -> None:
    (home / "datasets").mkdir(parents=True, exist_ok=True)
    (home / "datasets" / "badges.toml").write_text(text, encoding="utf-8")


def ingest(proxy: Proxied, records: list[dict[str, Any]]) -> ingest_service_pb2.IngestResponse:
    lines = "\n".join(map(json.dumps, records))
    request = ingest_service_pb2.IngestRequest(dataset="badges", json_lines=lines)
    (acknowledged,) = proxy.ingestion.Ingest(iter([request]))
    return acknowledged


def described(proxy: Proxied) -> dict[str, str]:
    datasets = proxy.queries.ListDatasets(query_service_pb2.ListDatasetsRequest()).datasets
    (badges,) = (dataset for dataset in datasets if dataset.name == "badges")
    return {column.name: column.type for column in badges.columns}


def presence(proxy: Proxied, badge: str, place: str = "") -> list[str]:
    request = presence_service_pb2.FindSessionsRequest(
        dataset="badges", device=badge, interval=DAY, place=place, purpose="test"
    )
    return [place for page in proxy.presence.FindSessions(request) for place in page.sessions.places]


def count(proxy: Proxied, place: str = "") -> int:
    request = occupancy_service_pb2.CountRequest(dataset="badges", interval=DAY, place=place)
    return proxy.occupancy.Count(request).distinct_devices
