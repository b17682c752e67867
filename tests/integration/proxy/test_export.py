"""A proxy on an exported keyring counts as the full proxy does, and opens nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.protobuf.duration_pb2 import Duration

from privacyplease.proxy.compaction import garbage_collection
from privacyplease.proxy.errors import WrongPassphraseError
from privacyplease.proxy.export import keyring_file
from privacyplease.proxy.keys.derivation import GroupKeys, Key
from privacyplease.proxy.segments import groups
from privacyplease.proxy.segments.core import Core, packed
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.pages import compressed
from privacyplease.proxy.segments.sealing import CellContext, Opener, Sealer
from privacyplease.proxy.storage.cell import Sealed, Tag
from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.v1 import admin_service_pb2, dead_letter_service_pb2, presence_service_pb2, query_service_pb2
from privacyplease.proxy.v1 import keys_service_pb2 as pb
from privacyplease.proxy.v1 import occupancy_service_pb2 as occupancy_pb
from privacyplease.proxy.v1.verification_service_pb2 import VerifyRequest
from tests.services.cells import refusal
from tests.services.polling import eventually
from tests.services.proxy import Proxied, instant, interval, proxying
from tests.services.storage import Served
from tests.services.tampering import Database, StoredCell

HOUR, DAY = 3_600_000, 86_400_000
JULY, AUGUST = 1_719_792_000_000, 1_722_470_400_000  # 2024-07-01, 2024-08-01
MAY, OCTOBER = JULY - 61 * DAY, AUGUST + 61 * DAY
PARTNERS = "a passphrase for the partner"


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
    """All questions that count people."""
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


def test_an_exported_keyring_counts_as_the_full_proxy_does(filled: Proxied, partner: Proxied) -> None:
    whole = answers(filled)
    assert whole[0] == 52  # including the session from June and the one into August
    assert answers(partner) == whole
    assert answers(partner, JULY + 3 * DAY, JULY + 4 * DAY) == answers(filled, JULY + 3 * DAY, JULY + 4 * DAY)


@pytest.mark.parametrize(("start", "end"), [(JULY - 1, AUGUST), (JULY, AUGUST + 1), (MAY, MAY + DAY), (MAY, OCTOBER)])
def test_an_interval_that_was_not_exported_is_refused(partner: Proxied, start: int, end: int) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        answers(partner, start, end)
    _, info, violations = refusal(refused.value)
    assert info.reason == "ERROR_REASON_NOT_EXPORTED"
    assert list(violations) == ["interval"]
    assert "2024-07-01T00:00:00Z … 2024-08-01T00:00:00Z" in violations["interval"]


def test_the_policy_of_an_exported_keyring_is_its_holders(partner: Proxied) -> None:
    def counts_as(allowed: bool) -> bool:
        try:
            return bool(answers(partner)) is allowed
        except grpc.RpcError as error:
            return not allowed and refusal(error)[1].reason == "ERROR_REASON_PERMISSION_DENIED"

    for roles, allowed in (("[]", False), ('["count"]', True)):
        partner.home.policy.write_text(f"[plaintext]\nroles = {roles}\n")
        assert eventually(partial(counts_as, allowed))
    assert not partner.home.audit.exists()


ASKED: dict[str, Callable[[Proxied], Any]] = {
    "ingest": lambda proxy: proxy.ingest("wifi", [session(JULY, 1)]),
    "presence": lambda proxy: list(
        proxy.presence.FindSessions(
            presence_service_pb2.FindSessionsRequest(device="02:00:00:00:00:01", interval=interval(JULY, AUGUST))
        )
    ),
    "query": lambda proxy: proxy.records("wifi", JULY, AUGUST),
    "data sets": lambda proxy: proxy.queries.ListDatasets(query_service_pb2.ListDatasetsRequest()),
    "letters": lambda proxy: proxy.letters.Seal(dead_letter_service_pb2.SealRequest(dataset="wifi", payloads=[b"x"])),
    "keys": lambda proxy: proxy.keys.ListKeys(pb.ListKeysRequest()),
    "export": export,
    "destroy": lambda proxy: proxy.keys.DestroyEpochs(pb.DestroyEpochsRequest(dataset="wifi", before=instant(JULY))),
    "status": lambda proxy: proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest()),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_proxy_on_an_exported_keyring_only_counts(partner: Proxied, name: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        ASKED[name](partner)
    status, info, _ = refusal(refused.value)
    assert (status, info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ERROR_REASON_NOT_EXPORTED")
    assert "counts people" in str(refused.value.details())


def test_the_file_reveals_nothing_without_its_passphrase(file: Path, tmp_path: Path, storage: Served) -> None:
    assert not any(word in file.read_bytes() for word in (b'"wifi"', b"ap_name", b"client_mac"))
    with pytest.raises(WrongPassphraseError):
        keyring_file.load(file, PARTNERS + "x")
    locked = proxying(tmp_path / "partner", storage.address, passphrase="wrong", keyring=file)
    with locked as proxy, pytest.raises(grpc.RpcError) as refused:
        answers(proxy)
    assert refusal(refused.value)[1].reason == "ERROR_REASON_WRONG_PASSPHRASE"


def test_withheld_cells_are_noticed(partner: Proxied, file: Path, storage: Served) -> None:
    export = keyring_file.load(file, PARTNERS)
    row = export.segments[0]
    StorageClient.connect(storage.address).delete(groups.tags(export.keys[row.key].tag, Group.CORE, [row.number]))
    with pytest.raises(grpc.RpcError) as refused:
        answers(partner)
    assert refusal(refused.value)[1].reason == "ERROR_REASON_CELLS_MISSING"
    assert "ask for a new one" in str(refused.value.details())


def test_records_stored_after_the_export_are_counted_only_by_a_new_keyring(
    filled: Proxied, partner: Proxied, tmp_path: Path, storage: Served
) -> None:
    before = answers(partner)
    filled.ingest("wifi", [session(JULY + 20 * DAY, 99)])
    assert answers(partner) == before
    (newer := tmp_path / "newer").write_bytes(export(filled))
    with proxying(tmp_path / "again", storage.address, passphrase=PARTNERS, keyring=newer) as again:
        assert answers(again) == answers(filled) != before


def test_a_new_export_counts_after_a_compaction(
    filled: Proxied, partner: Proxied, tmp_path: Path, storage: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage_collection, "KEPT_MS", -1)
    for _ in range(2):
        filled.compact(include_open=True)
    with pytest.raises(grpc.RpcError) as refused:
        answers(partner)
    assert refusal(refused.value)[1].reason == "ERROR_REASON_CELLS_MISSING"
    assert "ask for a new one" in str(refused.value.details())
    (newer := tmp_path / "newer").write_bytes(export(filled))
    with proxying(tmp_path / "again", storage.address, passphrase=PARTNERS, keyring=newer) as again:
        assert answers(again) == answers(filled)


class Forger:
    """An attacker with an exported keyring, its passphrase, and the storage server's database."""

    def __init__(self, file: Path, database: Database) -> None:
        self._export = keyring_file.load(file, PARTNERS)
        self._rows = {row.tag: row for row in database.rows()}
        self._database = database
        self._segments = [row for row in self._export.segments if row.summary.first >= JULY]

    def reseal(self) -> None:
        """Replaces a page by one in which all sessions were elsewhere."""
        tag, keys, row = self._core(0)
        place = CellContext("wifi", Group.CORE, tag)
        columns = Core(Opener(keys.cell).open(Sealed(row.sealed), place)).columns()
        page = packed(columns._replace(places=pa.array(["elsewhere"] * len(columns.places))))
        forged = Sealer(keys.cell, Key(bytes(32))).enclose(compressed(page), row.sealed_bytes, place).cell.sealed
        assert set(Core(Opener(keys.cell).open(forged, place)).columns().places.to_pylist()) == {"elsewhere"}
        self._store({tag: row._replace(sealed=bytes(forged))})

    def swap(self) -> None:
        """Exchanges two cells."""
        (one, _, first), (other, _, second) = self._core(0), self._core(1)
        self._store({one: first._replace(sealed=second.sealed), other: second._replace(sealed=first.sealed)})

    def drop(self) -> None:
        """Deletes a cell."""
        self._rows.pop(self._core(0)[0])
        self._store({})

    def _core(self, number: int) -> tuple[Tag, GroupKeys, StoredCell]:
        segment = self._segments[number]
        keys = self._export.keys[segment.key]
        (tag,) = groups.tags(keys.tag, Group.CORE, [segment.number])
        return tag, keys, self._rows[tag]

    def _store(self, changed: dict[Tag, StoredCell]) -> None:
        rows = self._rows | {bytes(tag): row for tag, row in changed.items()}
        self._database.restore([row._replace(sealed_bytes=len(row.sealed)) for row in rows.values()])


QUESTIONS: dict[str, Callable[[Proxied], Any]] = {
    "count": lambda proxy: proxy.occupancy.Count(occupancy_pb.CountRequest(interval=interval(JULY, AUGUST))),
    "count at a place": lambda proxy: proxy.occupancy.Count(
        occupancy_pb.CountRequest(interval=interval(JULY, AUGUST), place="ap-1")
    ),
    "presence": lambda proxy: list(
        proxy.presence.FindSessions(
            presence_service_pb2.FindSessionsRequest(
                device="02:00:00:00:00:fe", interval=interval(JULY, AUGUST), purpose="test"
            )
        )
    ),
    "query": lambda proxy: proxy.records("wifi", JULY, AUGUST),
    "compaction": lambda proxy: proxy.compact(include_open=True),
    "renewal": lambda proxy: proxy.keys.RotateEpoch(
        pb.RotateEpochRequest(dataset="wifi", containing=instant(JULY + 20 * DAY))
    ),
}


@pytest.mark.parametrize(
    ("forge", "reason"),
    [(Forger.reseal, "CELL_DAMAGED"), (Forger.swap, "CELL_DAMAGED"), (Forger.drop, "CELLS_MISSING")],
)
def test_the_holder_of_a_keyring_and_the_database_changes_no_answer_undetected(
    forge: Callable[[Forger], None], reason: str, tmp_path: Path, storage: Served, sqlite_url: str
) -> None:
    with proxying(tmp_path / "home", storage.address, cache_bytes=0) as proxy:
        for start in range(JULY + 16 * DAY, JULY + 22 * DAY, 2 * DAY):  # in one epoch, each in a separate segment
            proxy.ingest("wifi", [session(start + number * HOUR, number) for number in range(8)])
        (file := tmp_path / "july.keyring").write_bytes(export(proxy))
        forge(Forger(file, Database(sqlite_url)))
        for name, ask in QUESTIONS.items():
            with pytest.raises(grpc.RpcError) as refused:
                ask(proxy)
            code, info, _ = refusal(refused.value)
            assert (name, code, info.reason) == (name, grpc.StatusCode.DATA_LOSS, f"ERROR_REASON_{reason}")
        summary = list(proxy.verification.Verify(VerifyRequest()))[-1].summary
        assert summary.missing + summary.damaged == (2 if forge is Forger.swap else 1)


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"dataset": "nope"}, "UNKNOWN_DATASET", "dataset"),
        ({"passphrase": ""}, "INVALID_REQUEST", "passphrase"),
        ({"interval": interval(AUGUST, JULY)}, "INVALID_INTERVAL", "interval"),
    ],
)
def test_an_invalid_request_is_refused_naming_the_field(
    proxy: Proxied, fields: dict[str, Any], reason: str, field: str
) -> None:
    valid: dict[str, Any] = {"interval": interval(JULY, AUGUST), "passphrase": PARTNERS}
    request = pb.ExportKeyringRequest(**valid | fields)
    with pytest.raises(grpc.RpcError) as refused:
        list(proxy.keys.ExportKeyring(request))
    _, info, violations = refusal(refused.value)
    assert (info.reason, list(violations)) == (f"ERROR_REASON_{reason}", [field])
