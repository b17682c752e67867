"""An exported keyring: counts what it was made for as the full proxy does, and opens nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from privacyplease.proxy import exported, predicate
from privacyplease.proxy.cells import Opener
from privacyplease.proxy.errors import CellDamagedError, KeyUnavailableError, WrongPassphraseError
from privacyplease.proxy.exported import Export
from privacyplease.proxy.holdings import Holdings
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.rotation import described_by
from privacyplease.proxy.layouts import Layouts
from privacyplease.proxy.records.dataset import load
from privacyplease.proxy.storage.client import Storage
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.v1 import admin_service_pb2, dead_letter_service_pb2, presence_service_pb2, query_service_pb2
from privacyplease.proxy.v1 import keys_service_pb2 as pb
from privacyplease.proxy.v1 import occupancy_service_pb2 as occupancy_pb
from tests.services.cells import refusal
from tests.services.proxy import PASSPHRASE, Proxied, instant, interval, proxying
from tests.services.storage import Served

HOUR, DAY = 3_600_000, 86_400_000
JULY, AUGUST = 1_719_792_000_000, 1_722_470_400_000  # 2024-07-01, 2024-08-01
MAY, OCTOBER = JULY - 61 * DAY, AUGUST + 61 * DAY
PARTNERS = "a passphrase for the partner"
WIFI = load()["wifi"]


def session(start: int, device: int, place: str = "ap-1", hours: float = 1.0) -> dict[str, Any]:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start // 1_000))
    mac = f"02:00:00:00:00:{device:02x}"
    return {"client_mac": mac, "ap_name": place, "association_time": at, "session_duration": hours * 3_600}


@pytest.fixture
def filled(proxy: Proxied) -> Proxied:
    """May to September, with a session that lasts from June into July and one from July into August."""
    starts = range(MAY, OCTOBER, 11 * HOUR)
    sessions = [session(start, number % 50, f"ap-{number % 3}") for number, start in enumerate(starts)]
    sessions += [session(JULY - 2 * DAY, 200, hours=72), session(AUGUST - HOUR, 201, hours=5)]
    proxy.ingest("wifi", sessions)
    return proxy


def export(proxy: Proxied, start: int = JULY, end: int = AUGUST, **more: Any) -> bytes:
    request = pb.ExportKeyringRequest(interval=interval(start, end), passphrase=PARTNERS, **more)
    return b"".join(part.keyring for part in proxy.keys.ExportKeyring(request))


@pytest.fixture
def file(filled: Proxied, tmp_path: Path) -> Path:
    file = tmp_path / "july.keyring"
    file.write_bytes(export(filled))
    return file


@pytest.fixture
def partner(file: Path, tmp_path: Path, storage: Served) -> Iterator[Proxied]:
    with proxying(tmp_path / "partner", storage.address, passphrase=PARTNERS, keyring=file) as running:
        yield running


def answers(proxy: Proxied, start: int = JULY, end: int = AUGUST) -> list[Any]:
    """Everything that can be asked about people."""
    when, step = interval(start, end), Duration(seconds=900)
    asked = proxy.occupancy
    series = list(asked.Series(occupancy_pb.SeriesRequest(interval=when, step=step)))
    return [
        asked.Count(occupancy_pb.CountRequest(interval=when)).distinct_devices,
        asked.Count(occupancy_pb.CountRequest(interval=when, place="ap-1")).distinct_devices,
        asked.Peak(occupancy_pb.PeakRequest(interval=when, step=step)).peak,
        [page.distinct_devices for page in series],
        [
            (page.places, page.distinct_devices)
            for page in asked.CountByPlace(occupancy_pb.CountByPlaceRequest(interval=when))
        ],
    ]


def test_it_counts_july_as_the_full_proxy_does(filled: Proxied, partner: Proxied) -> None:
    whole = answers(filled)
    assert whole[0] == 52  # those of the session from June and of the one into August among them
    assert answers(partner) == whole
    assert answers(partner, JULY + 3 * DAY, JULY + 4 * DAY) == answers(filled, JULY + 3 * DAY, JULY + 4 * DAY)


@pytest.mark.parametrize(("start", "end"), [(JULY - 1, AUGUST), (JULY, AUGUST + 1), (MAY, MAY + DAY), (MAY, OCTOBER)])
def test_it_refuses_every_other_time(partner: Proxied, start: int, end: int) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        answers(partner, start, end)
    _, info, violations = refusal(refused.value)
    assert info.reason == "ERROR_REASON_NOT_EXPORTED"
    assert list(violations) == ["interval"]
    assert "2024-07-01T00:00:00Z … 2024-08-01T00:00:00Z" in violations["interval"]


ASKED: dict[str, Callable[[Proxied], Any]] = {
    "ingest": lambda proxy: proxy.ingest("wifi", [session(JULY, 1)]),
    "presence": lambda proxy: list(
        proxy.presence.FindSessions(
            presence_service_pb2.FindSessionsRequest(device="02:00:00:00:00:01", interval=interval(JULY, AUGUST))
        )
    ),
    "query": lambda proxy: proxy.records("wifi", "place", JULY, AUGUST),
    "data sets": lambda proxy: proxy.queries.ListDatasets(query_service_pb2.ListDatasetsRequest()),
    "letters": lambda proxy: proxy.letters.Seal(dead_letter_service_pb2.SealRequest(dataset="wifi", payloads=[b"x"])),
    "keys": lambda proxy: proxy.keys.ListKeys(pb.ListKeysRequest()),
    "export": export,
    "destroy": lambda proxy: proxy.keys.DestroyEpochs(pb.DestroyEpochsRequest(dataset="wifi", before=instant(JULY))),
    "status": lambda proxy: proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest()),
}


@pytest.mark.parametrize("name", ASKED)
def test_it_does_nothing_but_count(partner: Proxied, name: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        ASKED[name](partner)
    status, info, _ = refusal(refused.value)
    assert (status, info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ERROR_REASON_NOT_EXPORTED")
    assert "counts people" in refused.value.details()


@contextmanager
def full_keyring(home: Home) -> Iterator[tuple[Keyring, Layouts, Holdings]]:
    store = trusted_store.open_store(home.trusted_store)
    yield Keyring(store, described_by(home, "").master_key(PASSPHRASE)), Layouts(store), Holdings(store)


def test_its_keys_open_the_cells_of_their_periods_and_index_and_no_other(
    filled: Proxied, file: Path, storage: Served
) -> None:
    """With the file, its passphrase and every cell of the store, and no proxy in between."""
    export = exported.load(file, PARTNERS)
    with full_keyring(filled.home) as (keyring, layouts, holdings):
        opened = {name: _opened(name, export, keyring, layouts, holdings, storage) for name in WIFI.indexes}
        all_epochs = set(keyring.epochs("wifi"))
    exported_epochs = set(export.keys)
    assert len(all_epochs) == 6
    assert {epoch * 30 * DAY < AUGUST and (epoch + 1) * 30 * DAY > JULY - 64 * HOUR for epoch in exported_epochs} == {
        True
    }
    assert opened["subject"] == dict.fromkeys(all_epochs, False)
    assert opened["place"] == {epoch: epoch in exported_epochs for epoch in all_epochs}


def _opened(
    name: str, export: Export, keyring: Keyring, layouts: Layouts, holdings: Holdings, storage: Served
) -> dict[int, bool]:
    """For each epoch, whether any key of the file, under any name, opens any of its cells of an index."""
    index, found = WIFI.indexes[name], {}
    held = holdings.all("wifi", name, WIFI.timeline)
    tags = predicate.predicate(WIFI, index, held.places, None, keyring)
    keys = [key for of in export.keys.values() for key in (of.tag, of.bin, of.cell, of.ledger)]
    openers = [
        Opener(key, layouts, "wifi", place, WIFI.carried(WIFI.indexes[place])) for key in keys for place in WIFI.indexes
    ]
    for page in Storage.connect(storage.address).select(tags):
        for cell in page:
            found[tags[cell.tag]] = found.get(tags[cell.tag], False) or any(_opens(o, cell) for o in openers)
    return found


def _opens(opener: Opener, cell: Any) -> bool:
    try:
        return len(opener.open(cell.sealed, cell.tag, cell.cell_id)) > 0
    except CellDamagedError:
        return False


def test_no_data_key_is_in_the_file(filled: Proxied, file: Path) -> None:
    export = exported.load(file, PARTNERS)
    with full_keyring(filled.home) as (keyring, *_):
        data_keys = [keyring._open("wifi", epoch).reveal() for epoch in keyring.epochs("wifi")]
    held = {key.reveal() for of in export.keys.values() for key in (of.tag, of.bin, of.cell, of.ledger)}
    assert held.isdisjoint(data_keys)
    assert export.keys
    ring = exported.ExportedKeyring(export)
    for place in (("wifi", min(export.keys), "subject"), ("wifi", min(export.keys) - 1, "place"), ("x", 660, "place")):
        with pytest.raises(KeyUnavailableError):
            ring.keys(*place)


def test_the_file_shows_nothing_without_its_passphrase(file: Path, tmp_path: Path, storage: Served) -> None:
    assert not any(word in file.read_bytes() for word in (b'"wifi"', b"ap_name", b"client_mac"))
    with pytest.raises(WrongPassphraseError):
        exported.load(file, PARTNERS + "x")
    locked = proxying(tmp_path / "partner", storage.address, passphrase="wrong", keyring=file)
    with locked as proxy, pytest.raises(grpc.RpcError) as refused:
        answers(proxy)
    assert refusal(refused.value)[1].reason == "ERROR_REASON_WRONG_PASSPHRASE"


def test_cells_that_are_withheld_from_it_are_noticed(partner: Proxied, file: Path, storage: Served) -> None:
    export = exported.load(file, PARTNERS)
    Storage.connect(storage.address).delete([export.totals[0].tag])
    with pytest.raises(grpc.RpcError) as refused:
        answers(partner)
    assert refusal(refused.value)[1].reason == "ERROR_REASON_CELLS_MISSING"


def test_what_came_in_later_is_refused_where_it_lies_and_counted_by_a_new_keyring(
    filled: Proxied, partner: Proxied, tmp_path: Path, storage: Served
) -> None:
    hours = (JULY + 20 * DAY - MAY) // HOUR
    filled.ingest("wifi", [session(MAY + hours // 11 * 11 * HOUR, 99)])  # in an hour that has a session already
    with pytest.raises(grpc.RpcError) as refused:
        answers(partner)
    assert refusal(refused.value)[1].reason == "ERROR_REASON_CELLS_UNEXPECTED"
    assert "ask for a new one" in refused.value.details()
    assert answers(partner, JULY, JULY + 10 * DAY) == answers(filled, JULY, JULY + 10 * DAY)
    (newer := tmp_path / "newer").write_bytes(export(filled))
    with proxying(tmp_path / "again", storage.address, passphrase=PARTNERS, keyring=newer) as again:
        assert answers(again) == answers(filled)


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"index": "subject"}, "INVALID_REQUEST", "index"),
        ({"dataset": "nope"}, "UNKNOWN_DATASET", "dataset"),
        ({"passphrase": ""}, "INVALID_REQUEST", "passphrase"),
        ({"interval": interval(AUGUST, JULY)}, "INVALID_INTERVAL", "interval"),
    ],
)
def test_what_breaks_a_rule_is_refused(proxy: Proxied, fields: dict[str, Any], reason: str, field: str) -> None:
    request = pb.ExportKeyringRequest(**{"interval": interval(JULY, AUGUST), "passphrase": PARTNERS} | fields)
    with pytest.raises(grpc.RpcError) as refused:
        list(proxy.keys.ExportKeyring(request))
    _, info, violations = refusal(refused.value)
    assert (info.reason, list(violations)) == (f"ERROR_REASON_{reason}", [field])
