"""The audit log after real calls, and the outcome of calls if it cannot be written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest

from privacyplease.client import AuditEntry, Client, errors
from privacyplease.proxy.assembly.proxy import Proxy
from privacyplease.proxy.assembly.settings import ProxySettings
from privacyplease.proxy.audit import __main__ as offline
from privacyplease.proxy.certificates.authority import Subject
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.v1 import keys_service_pb2
from privacyplease.proxy.v1.admin_service_pb2 import GetStatusRequest
from privacyplease.proxy.v1.admin_service_pb2_grpc import AdminServiceStub
from privacyplease.proxy.v1.occupancy_service_pb2 import CountRequest
from tests.services.certificates import Made, channel_with
from tests.services.polling import eventually
from tests.services.proxy import instant, interval, proxying
from tests.services.storage import StorageProcess, serving

DEVICE = "02:00:00:00:00:01"
EIGHT = datetime(2024, 10, 1, 8, tzinfo=UTC)
DAY = EIGHT, EIGHT + timedelta(hours=12)

POLICY = f"""
approvals = "off"

[clients]
operator = {{ roles = ["ingest", "count", "presence", "stations", "admin", "keys", "audit"] }}
alice = {{ roles = ["count", "presence"] }}
owner = {{ roles = ["self"], devices = ["{DEVICE}"] }}
counter = {{ roles = ["count"], calls_per_minute = 1 }}
dashboard = {{ roles = ["presence"], may_act_for = ["alice"] }}
"""


class Installation:
    """A proxy over a store, and the log's entries since they were last read."""

    def __init__(self, made: Made, home: Home, address: str) -> None:
        self.made, self.home, self.address = made, home, address
        self._seen = 0

    def client(self, name: str) -> Client:
        folder = self.made[f"clients/{name}"]
        if not folder.exists():
            self.made.certificates.issue(name, datetime.now(UTC))
        return Client(self.address, certificates=folder)

    def news(self) -> list[AuditEntry]:
        """The entries, except for those about reading the log."""
        with self.client("operator") as client:
            entries = [entry for entry in client.audit_entries() if not entry.rpc.startswith("AuditService")]
        entries = [entry for entry in entries if entry.event != "counted"]  # written when their minute is over
        news, self._seen = entries[self._seen :], len(entries)
        return news

    def bytes(self) -> bytes:
        return b"".join(file.read_bytes() for file in sorted(self.home.audit.iterdir()))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Made(tmp_path_factory.mktemp("installation"))
    home = Home(made.folder / "home")
    home.path.mkdir()
    home.policy.write_text(POLICY)
    with StorageProcess(f"sqlite:///{made.folder / 'cells.db'}", certificates=made["storage"]) as storage:
        proxy = Proxy(
            ProxySettings(
                home,
                storage.address,
                certificates=made["proxy"],
                storage_certificates=made["proxy-to-storage"],
            )
        )
        address = f"127.0.0.1:{proxy.bind('127.0.0.1:0')}"
        proxy.start()
        found = Installation(made, home, address)
        with found.client("operator") as client:
            list(client.ingest("wifi", [_sessions(3)]))
        yield found
        proxy.stop(0)


def _sessions(number: int) -> pa.Table:
    return pa.table(
        {
            "client_mac": [DEVICE] * number,
            "ap_name": [f"ap-{place}" for place in range(number)],
            "association_time": pa.array([EIGHT] * number, pa.timestamp("ms", "UTC")),
            "session_duration": pa.array([60_000] * number, pa.duration("ms")),
        }
    )


def test_a_question_about_a_person_is_recorded_with_its_outcome(running: Installation) -> None:
    running.news()
    with running.client("alice") as client:
        assert len(client.presence("0200.0000.0001", *DAY, purpose="lost property").sessions) == 3
        assert client.query("wifi", *DAY, purpose="fire drill").to_arrow().num_rows == 3
    asked, answered, query_asked, query_answered = running.news()
    assert (asked.event, answered.event) == ("asked", "answered")
    assert asked.call == answered.call != query_asked.call == query_answered.call
    for entry in (asked, answered):
        assert (entry.who, entry.on_behalf_of, entry.rpc) == ("alice", "", "PresenceService/FindSessions")
        assert (entry.dataset, entry.purpose) == ("wifi", "lost property")
        assert (entry.start, entry.end) == DAY
        assert len(bytes.fromhex(entry.subject)) == 16
        assert abs(entry.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert (asked.records, answered.records) == (None, 3)
    assert answered.bytes
    assert answered.bytes > 50
    assert (query_answered.subject, query_answered.purpose) == ("", "fire drill")
    assert query_answered.bytes
    assert query_answered.bytes > 500


def test_neither_a_device_nor_a_place_nor_a_record_is_in_the_log(running: Installation) -> None:
    with running.client("alice") as client:
        client.presence(DEVICE, *DAY, purpose="test", place="ap-1")
        client.query("wifi", *DAY, subject=DEVICE, purpose="test").to_arrow()
    log = running.bytes()
    assert b"FindSessions" in log
    for needle in (DEVICE, DEVICE.replace(":", ""), "0200.0000.0001", "ap-1", "ap-0"):
        assert needle.encode() not in log


def test_an_auditor_finds_the_questions_about_a_device(running: Installation) -> None:
    with running.client("alice") as client, running.client("operator") as operator:
        client.presence(DEVICE, *DAY, purpose="the one")
        client.presence("02:00:00:00:00:99", *DAY, purpose="another")
        found = operator.audit_entries(device=DEVICE.upper().replace(":", "-"), who="alice", rpc="PresenceService")
        assert {entry.purpose for entry in found} >= {"the one"}
        assert "another" not in {entry.purpose for entry in found}
        assert operator.audit_entries(who="nobody-of-that-name") == ()
        now = datetime.now(UTC)
        assert operator.audit_entries(now + timedelta(hours=1)) == operator.audit_entries(None, EIGHT) == ()
        everything = operator.audit_entries(now - timedelta(hours=1), now + timedelta(hours=1))
        assert [entry.number for entry in everything] == list(range(1, len(everything) + 1))


def test_the_user_on_whose_behalf_a_dashboard_asks_is_recorded(running: Installation) -> None:
    running.news()
    with running.client("dashboard") as client:
        client.on_behalf_of("alice").presence(DEVICE, *DAY, purpose="lost property")
        with pytest.raises(errors.PermissionDeniedError):
            client.on_behalf_of("owner").presence(DEVICE, *DAY, purpose="lost property")
    told = [(entry.event, entry.who, entry.on_behalf_of) for entry in running.news()]
    assert told == [(event, "dashboard", "alice") for event in ("asked", "answered")] + [
        ("refused", "dashboard", "owner")
    ]


def test_questions_about_ones_own_devices_are_recorded(running: Installation) -> None:
    running.news()
    with running.client("owner") as client:
        assert client.presence(DEVICE, *DAY).present
    assert [(entry.event, entry.who, entry.purpose) for entry in running.news()] == [
        ("asked", "owner", ""),
        ("answered", "owner", ""),
    ]


def test_every_refusal_is_recorded(running: Installation) -> None:
    running.news()
    with running.client("mallory") as client, pytest.raises(errors.PermissionDeniedError):
        client.presence(DEVICE, *DAY, purpose="curiosity")
    with running.client("alice") as client:
        with pytest.raises(errors.PurposeRequiredError):
            client.presence(DEVICE, *DAY)
        with pytest.raises(errors.PermissionDeniedError):
            list(client.ingest("wifi", [_sessions(1)]))
    with running.client("counter") as client:
        client.count(*DAY)
        with pytest.raises(errors.RateLimitedError):
            client.count(*DAY)
    told = [(entry.event, entry.who, entry.rpc, entry.reason) for entry in running.news()]
    assert told == [
        ("refused", "mallory", "PresenceService/FindSessions", "PERMISSION_DENIED"),
        ("refused", "alice", "PresenceService/FindSessions", "PURPOSE_REQUIRED"),
        ("refused", "alice", "IngestService/Ingest", "PERMISSION_DENIED"),
        ("refused", "counter", "OccupancyService/Count", "RATE_LIMITED"),
    ]


def test_refused_calls_count_against_the_rate_of_a_client_without_any_role(running: Installation) -> None:
    running.home.policy.write_text("calls_per_minute = 3\n" + POLICY)
    try:
        with running.client("eve") as client:
            assert eventually(lambda: _reason(client) is errors.RateLimitedError, 10)
            assert eventually(lambda: _reason(client.on_behalf_of("alice")) is errors.RateLimitedError, 10)
        with running.client("alice") as client:
            assert client.count(*DAY) == 1  # naming her took nothing from her rate
    finally:
        running.home.policy.write_text(POLICY)
    with running.client("eve") as client:
        assert eventually(lambda: _reason(client) is errors.PermissionDeniedError, 10)


def test_one_who_asks_for_much_in_a_loop_is_refused_and_others_are_answered(running: Installation) -> None:
    running.home.policy.write_text(
        POLICY.replace("alice = {", 'eve = { roles = ["presence"], cells_per_minute = 3 }\nalice = {')
    )
    years = EIGHT - timedelta(days=1_000), EIGHT + timedelta(days=1_000)
    try:
        with running.client("eve") as eve, running.client("alice") as alice:

            def asked_too_much() -> bool:
                try:
                    eve.presence(DEVICE, *years, purpose="any")
                except errors.PermissionDeniedError:  # the new policy is not in force yet
                    return False
                except errors.RateLimitedError as error:
                    return "3 cells a minute" in str(error)
                return False

            assert eventually(asked_too_much, 10)
            assert len(alice.presence(DEVICE, *years, purpose="any").sessions) == 3
    finally:
        running.home.policy.write_text(POLICY)
    assert any((entry.who, entry.reason) == ("eve", "RATE_LIMITED") for entry in running.news())


def _reason(client: Client) -> type[Exception] | None:
    try:
        _presence(client)
    except (errors.PermissionDeniedError, errors.RateLimitedError) as error:
        return type(error)
    return None


def test_a_flood_of_refusals_leaves_a_few_lines_that_count_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "policy.toml").write_text('approvals = "off"\n[plaintext]\nroles = ["count"]\n')
    with proxying(home, "127.0.0.1:1", passphrase=None) as proxy, Client(proxy.address, insecure=True) as client:
        for _ in range(100):
            with pytest.raises(errors.PermissionDeniedError):
                _presence(client)
    (file,) = (home / "audit").iterdir()
    entries = [json.loads(line) for line in file.read_bytes().splitlines()]
    entries = [entry for entry in entries if entry["event"] == "refused"]
    assert [entry.get("count", 1) for entry in entries] == [1, 1, 1, 97]
    assert {entry["reason"] for entry in entries} == {"PERMISSION_DENIED"}
    assert len({entry.get("subject") for entry in entries}) == 1


def test_the_refusal_of_a_certificate_without_identity_is_recorded(running: Installation) -> None:
    running.news()
    folder = running.made.forged("printer", Subject("printer", "client", ("printer.local",)), hop="clients")
    with channel_with(running.address, folder) as channel, pytest.raises(grpc.RpcError):
        AdminServiceStub(channel).GetStatus(GetStatusRequest())
    assert [(entry.event, entry.who, entry.reason) for entry in running.news()] == [("refused", "", "UNKNOWN_IDENTITY")]


def test_a_question_that_fails_is_recorded_as_such(running: Installation) -> None:
    running.news()
    with running.client("alice") as client, pytest.raises(errors.MalformedSubjectError):
        client.presence("no device", *DAY, purpose="test")
    assert [(entry.event, entry.reason) for entry in running.news()] == [("asked", ""), ("failed", "INVALID_ARGUMENT")]
    assert b"no device" not in running.bytes()


def test_administrative_acts_are_recorded_and_status_requests_are_not(running: Installation) -> None:
    running.news()
    with running.client("operator") as client:
        client.status()
        client.open_letters("wifi", client.seal_letters("wifi", [b"message"]))
        client.verify_audit()
        latest = client.audit_entries()[-3:]
    assert [(entry.event, entry.rpc, entry.records) for entry in running.news()] == [
        ("asked", "DeadLetterService/Open", None),
        ("answered", "DeadLetterService/Open", 1),
    ]
    assert [(entry.event, entry.rpc) for entry in latest] == [
        ("asked", "AuditService/VerifyLog"),
        ("answered", "AuditService/VerifyLog"),
        ("asked", "AuditService/ListEntries"),
    ]


def test_people_counts_are_recorded_only_where_the_policy_says_so(running: Installation) -> None:
    running.news()
    with running.client("alice") as client:
        client.count(*DAY)
        assert running.news() == []
        running.home.policy.write_text('audit = "all"\n' + POLICY)
        try:
            assert eventually(lambda: client.count(*DAY) == 1 and running.news() != [], 10)
        finally:
            running.home.policy.write_text(POLICY)
        assert eventually(lambda: client.count(*DAY) == 1 and running.news() == [], 10)


def test_counts_of_people_leave_a_line_that_counts_them(tmp_path: Path) -> None:
    with serving(f"sqlite:///{tmp_path / 'cells.db'}") as storage, proxying(tmp_path, storage.address) as proxy:
        for _ in range(5):
            proxy.occupancy.Count(CountRequest(interval=interval(0, 60_000)))
    lines = [json.loads(line) for file in sorted(Home(tmp_path).audit.iterdir()) for line in file.open()]
    (counted,) = [line for line in lines if line["event"] == "counted"]
    assert (counted["rpc"], counted["dataset"], counted["count"]) == ("OccupancyService/Count", "wifi", 5)
    assert counted["from"] == "1970-01-01T00:00:00.000Z"
    assert counted["first"] <= counted["last"] <= counted["at"]


def test_verification_finds_an_edited_line_live_and_offline(
    running: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running.client("alice") as client:
        for _ in range(5):
            client.presence(DEVICE, *DAY, purpose="lost property")
    (file,) = running.home.audit.iterdir()
    with running.client("operator") as client:
        whole = client.verify_audit()
        assert whole.findings == ()
        assert whole.lines == whole.remembered > 10
        _overwrite(file, b"lost property", b"lost patience")
        assert [finding for finding in client.verify_audit().findings if "was edited" in finding]
        _overwrite(file, b"lost patience", b"lost property")
        assert client.verify_audit().findings == ()
    copy = shutil.copytree(running.home.audit, tmp_path / "copy")
    arguments = ["--home", str(running.home.path), "--log"]
    assert offline.main([*arguments, str(copy)]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    lines = (copy / file.name).read_bytes().splitlines(keepends=True)
    (copy / file.name).write_bytes(b"".join(lines[:4] + lines[6:]))
    assert offline.main([*arguments, str(copy)]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding == f"{file.name}:5: lines 5 to 6 are missing before line 7"
    assert offline.main(["--home", str(tmp_path)]) == 2


def test_a_log_whose_key_is_in_a_shared_store_is_verified_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, url = tmp_path / "home", f"sqlite:///{tmp_path / 'shared.db'}"
    with (
        proxying(home, "127.0.0.1:1", passphrase=None, trusted_store=url) as proxy,
        pytest.raises(grpc.RpcError),  # the store is shared; the question is recorded
    ):
        proxy.keys.RotateEpoch(keys_service_pb2.RotateEpochRequest(dataset="wifi", containing=instant(0)))
    assert offline.main(["--home", str(home)]) == 2
    assert "set PRIVACYPLEASE_TRUSTED_STORE to its URL" in capsys.readouterr().err
    monkeypatch.setenv("PRIVACYPLEASE_TRUSTED_STORE", url)
    assert offline.main(["--home", str(home)]) == 0
    assert json.loads(capsys.readouterr().out)["lines"] > 0


def _overwrite(file: Path, old: bytes, new: bytes) -> None:
    """Replaces the first occurrence, in place."""
    with file.open("r+b") as opened:
        opened.seek(file.read_bytes().index(old))
        opened.write(new)


def test_a_call_that_cannot_be_recorded_is_not_answered(running: Installation) -> None:
    kept = running.home.audit.with_name("kept")
    running.home.audit.rename(kept)
    running.home.audit.write_text("no folder")
    try:
        with running.client("alice") as client:
            for ask in (_presence, _query, _without_purpose):
                with pytest.raises(errors.AuditUnavailableError):
                    ask(client)
            assert client.count(*DAY) == 1  # need not be recorded
    finally:
        running.home.audit.unlink()
        kept.rename(running.home.audit)
    with running.client("alice") as client, running.client("operator") as operator:
        assert client.presence(DEVICE, *DAY, purpose="test").present
        assert operator.verify_audit().findings == ()


def _presence(client: Client) -> Any:
    return client.presence(DEVICE, *DAY, purpose="test")


def _query(client: Client) -> Any:
    return client.query("wifi", *DAY, purpose="test").to_arrow()


def _without_purpose(client: Client) -> Any:
    return client.presence(DEVICE, *DAY)
