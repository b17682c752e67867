"""Responses of station feeds, made up: as large as the largest, and as odd as real ones."""

from __future__ import annotations

import random

Document = dict[str, object]

MOMENT = 1_728_000_000_000  # 2024-10-04T00:00:00Z, ms


def jcdecaux_v1(count: int, *, seed: int = 1, contract: str = "Lyon") -> list[Document]:
    """`GET /vls/v1/stations`."""
    dice = random.Random(seed)
    return [
        {
            "number": number,
            "contract_name": contract,
            "name": f"{number} - PLACE DE L'ÉTÉ N° {number}",
            "address": "" if number % 5 == 0 else f"{number}, rue de l'Église",
            "position": {} if number % 97 == 0 else {"lat": 45 + dice.random(), "lng": 4 + dice.random()},
            "banking": bool(number % 2),
            "bonus": False,
            "status": "CLOSED" if number % 50 == 0 else "OPEN",
            "bike_stands": 20,
            "available_bikes": dice.randrange(21),
            "available_bike_stands": dice.randrange(21),
            "last_update": None if number % 31 == 0 else MOMENT + dice.randrange(60_000),
        }
        for number in range(1, count + 1)
    ]


def jcdecaux_v3(count: int, *, seed: int = 1) -> list[Document]:
    """`GET /vls/v3/stations`: the same stations as those of v1."""
    return [
        {
            "number": each["number"],
            "contractName": str(each["contract_name"]).lower(),
            "name": each["name"],
            "address": each["address"],
            "position": _v3_position(each["position"]),
            "banking": each["banking"],
            "bonus": each["bonus"],
            "status": each["status"],
            "lastUpdate": None if each["last_update"] is None else "2024-10-04T00:00:30Z",
            "connected": True,
            "overflow": False,
            "shape": None,
            "totalStands": {
                "availabilities": {
                    "bikes": each["available_bikes"],
                    "stands": each["available_bike_stands"],
                    "mechanicalBikes": 0,
                },
                "capacity": each["bike_stands"],
            },
            "mainStands": {"availabilities": {"bikes": -1, "stands": -1}, "capacity": -1},
            "overflowStands": None,
        }
        for each in jcdecaux_v1(count, seed=seed)
    ]


def _v3_position(position: object) -> Document:
    assert isinstance(position, dict)
    return {"latitude": position["lat"], "longitude": position["lng"]} if position else {}


def gbfs(base: str, version: str, count: int, *, ttl: int = 0, seed: int = 1) -> dict[str, Document]:
    """All files of a GBFS system by path, as versions 1.0, 2.3 and 3.0 have them.

    Args:
        base: where they will be served.
        version: which version.
        count: how many stations.
        ttl: the files' ttl, in seconds.
        seed: of the available bikes.
    """
    dice, flat = random.Random(seed), version.startswith("3.")
    bikes = "num_vehicles_available" if flat else "num_bikes_available"
    numbers = [_number(index, version) for index in range(count)]
    information = [
        {
            "station_id": number,
            "name": _words(f"Køge Torv {number}", flat),
            "lat": 55.5,
            "lon": 12.25,
            "address": "Torvet 1",
            "capacity": 20,
            "rental_methods": ["KEY", "CREDITCARD"],
        }
        for number in numbers
    ]
    status = [
        {
            "station_id": number,
            bikes: dice.randrange(21),
            "num_docks_available": dice.randrange(21),
            "is_installed": 1 if version == "1.0" else True,
            "is_renting": 0 if version == "1.0" else False,
            "is_returning": 1 if version == "1.0" else True,
            "last_reported": "2024-10-04T02:00:00+02:00" if flat else MOMENT // 1_000,
        }
        for number in numbers
    ]
    names = ["system_information", "station_information", "station_status"]
    feeds: Document = {"feeds": [{"name": name, "url": f"{base}/{name}.json"} for name in names]}
    files: dict[str, Document] = {
        "/gbfs.json": feeds if flat else {"da": {"feeds": []}, "en": feeds},
        "/system_information.json": {"system_id": "Bycyklen_KGE", "name": _words("Bycyklen", flat)},
        "/station_information.json": {"stations": information},
        "/station_status.json": {"stations": status},
    }
    head: Document = {"ttl": ttl} if version == "1.0" else {"last_updated": 1_728_000_000, "ttl": ttl}
    return {path: {**head, "version": version, "data": data} for path, data in files.items()}


def _number(index: int, version: str) -> object:
    """1.0 has numbers where text should be, larger than 32 bits hold."""
    return 2**31 + index if version == "1.0" else f"hub-{index}"


def _words(text: str, localised: bool) -> object:
    return [{"text": f"{text} (da)", "language": "da"}, {"text": text, "language": "en"}] if localised else text
