"""Who may ask what: every rpc with every role and every kind of certificate, and the policy's further limits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from privacyplease.client import Client, errors
from privacyplease.proxy.access.rules import OPEN, RULES
from privacyplease.proxy.assembly.contracts import CONTRACTS
from privacyplease.proxy.assembly.proxy import Proxy
from privacyplease.proxy.assembly.settings import ProxySettings
from privacyplease.proxy.certificates.authority import Subject
from privacyplease.proxy.edge import identity
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.records.dataset import load
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest
from privacyplease.proxy.v1.ingest_service_pb2_grpc import IngestServiceStub
from tests.services.certificates import Made, channel_with
from tests.services.polling import eventually
from tests.services.proxy import interval
from tests.services.storage import StorageProcess

START, HOUR = 1_727_769_600_000, 3_600_000
DAY = datetime(2024, 10, 1, 8, tzinfo=UTC), datetime(2024, 10, 1, 20, tzinfo=UTC)
OWN, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"

WHEN = {"interval": interval(START, START + HOUR)}
STEP = {"step": Duration(seconds=600)}
SESSIONS = {"purpose": "test", **WHEN}

# For every rpc, a request that it answers if allowed; for some, one for each role that is treated differently.
REQUESTS: dict[str, dict[str, Any]] = {
    "AccessService/WhoAmI": {},
    "AdminService/GetStatus": {},
    "ApprovalService/Decide": {"number": 1, "grant": True},
    "ApprovalService/ListApprovals": {},
    "AuditService/ListEntries": {"device": OTHER},
    "AuditService/VerifyLog": {},
    "CompactionService/Compact": {"dataset": "wifi"},
    "DeadLetterService/Open": {"dataset": "wifi", "letters": [b"none"]},
    "DeadLetterService/Seal": {"dataset": "wifi", "payloads": [b"message"]},
    "ExplainService/Explain of a count": WHEN,
    "ExplainService/Explain of a device": {"device": OTHER, **SESSIONS},
    "IngestService/Ingest": {"dataset": "wifi", "json_lines": ""},
    "KeysService/DestroyEpochs": {"dataset": "wifi", "before": {"seconds": 0}, "dry_run": True},
    "KeysService/ExportKeyring": {"passphrase": "partner", **WHEN},
    "KeysService/ListKeys": {},
    "KeysService/RotateEpoch": {"dataset": "wifi", "containing": WHEN["interval"].start},
    "KeysService/RotateMaster": {"passphrase": "another"},
    "OccupancyService/Count": WHEN,
    "OccupancyService/CountByPlace": WHEN,
    "OccupancyService/Dwell": WHEN,
    "OccupancyService/ListPlaces": WHEN,
    "OccupancyService/Peak": WHEN | STEP,
    "OccupancyService/Series": WHEN | STEP,
    "PresenceService/FindSessions of another": {"device": OTHER, **SESSIONS},
    "PresenceService/FindSessions of one's own": {"device": "020000000001", **SESSIONS},
    "QueryService/ListDatasets": {},
    "QueryService/Query of a place": {"dataset": "wifi", "place": "ap-1", **SESSIONS},
    "QueryService/Query of another": {"dataset": "wifi", "subject": OTHER, **SESSIONS},
    "QueryService/Query of everybody": {"dataset": "wifi", **SESSIONS},
    "QueryService/Query of one's own": {"dataset": "wifi", "subject": OWN, **SESSIONS},
    "QueryService/Query of one's own place": {"dataset": "wifi", "place": OWN, **SESSIONS},
    "QueryService/Query of stations": {"dataset": "bikes", **WHEN},
    "StationsService/Availability": {"contract": "lund", **WHEN, **STEP},
    "StationsService/ListHistory": {"station": "lund/1", **WHEN},
    "StationsService/ListLatest": {"contract": "lund"},
    "VerificationService/Verify": {},
}
NOTHING_WAITS = ("ApprovalService/Decide", "INVALID_REQUEST")
EVERYBODY = {"AccessService/WhoAmI"}
ANY_ROLE = {*EVERYBODY, "QueryService/ListDatasets"}
ALLOWED: dict[str, set[str]] = {
    "nobody": EVERYBODY,
    "ingest": {*ANY_ROLE, "DeadLetterService/Seal", "IngestService/Ingest"},
    "count": ANY_ROLE | {rpc for rpc in REQUESTS if rpc.startswith("OccupancyService")},
    "presence": ANY_ROLE
    | {rpc for rpc in REQUESTS if rpc.startswith(("PresenceService", "QueryService"))}
    - {"QueryService/Query of stations"},
    "self": {*ANY_ROLE, "PresenceService/FindSessions of one's own", "QueryService/Query of one's own"},
    "stations": {*ANY_ROLE, "QueryService/Query of stations"}
    | {rpc for rpc in REQUESTS if rpc.startswith("StationsService")},
    "admin": {
        *ANY_ROLE,
        "AdminService/GetStatus",
        "CompactionService/Compact",
        "DeadLetterService/Open",
        "KeysService/ListKeys",
        "VerificationService/Verify",
    },
    "keys": {*ANY_ROLE, "ApprovalService/ListApprovals"} | {rpc for rpc in REQUESTS if rpc.startswith("KeysService")},
    "approver": {*ANY_ROLE, "ApprovalService/Decide", "ApprovalService/ListApprovals"},
    "audit": {*ANY_ROLE, "AuditService/ListEntries", "AuditService/VerifyLog"},
    "operator": set(REQUESTS),
    "dashboard": EVERYBODY,  # it may ask nothing in its own name
}

EVERY_ROLE = ["ingest", "count", "presence", "self", "stations", "admin", "keys", "audit", "approver"]

POLICY = f"""
approvals = "off"

[clients]
ingest = {{ roles = ["ingest"] }}
count = {{ roles = ["count"] }}
presence = {{ roles = ["presence"] }}
self = {{ roles = ["self"], devices = ["{OWN}"] }}
stations = {{ roles = ["stations"] }}
admin = {{ roles = ["admin"] }}
keys = {{ roles = ["keys"] }}
audit = {{ roles = ["audit"] }}
approver = {{ roles = ["approver"] }}
operator = {{ roles = {json.dumps(EVERY_ROLE)} }}
dashboard = {{ roles = ["count", "self"], may_act_for = ["count", "self", "operator"] }}
narrow = {{ roles = ["count", "presence"], datasets = ["bikes"], purposes = ["fire drill"] }}
short = {{ roles = ["count"], longest_interval = "2h" }}
seldom = {{ roles = ["count"], calls_per_minute = 6, burst = 2 }}
mine = {{ roles = ["presence", "self"], devices = ["{OWN}"] }}
console = {{ roles = {json.dumps(EVERY_ROLE)}, may_act_for = ["*"] }}
part = {{ roles = ["admin", "keys", "audit"], datasets = ["wifi"] }}
wifi-only = {{ roles = ["ingest"], datasets = ["wifi"] }}
slow = {{ roles = ["ingest"], batches_per_second = 5 }}
"""

Certificate = Callable[[Made, str], grpc.Channel]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("installation"))


@pytest.fixture(scope="module")
def home(made: Made) -> Home:
    home = Home(made.folder / "home")
    home.path.mkdir()
    home.policy.write_text(POLICY)
    master = home.master_key(None)
    keyring = Keyring(trusted_store.open_store(home.trusted_store), master)
    keyring.ensure("wifi", START // load()["wifi"].epoch)  # for RotateEpoch
    return home


@pytest.fixture(scope="module")
def address(made: Made, home: Home) -> Iterator[str]:
    with StorageProcess(f"sqlite:///{made.folder / 'cells.db'}", certificates=made["storage"]) as storage:
        proxy = Proxy(
            ProxySettings(
                home,
                storage.address,
                certificates=made["proxy"],
                storage_certificates=made["proxy-to-storage"],
            )
        )
        port = proxy.bind("127.0.0.1:0")
        proxy.start()
        yield f"127.0.0.1:{port}"
        proxy.stop(0)


def folder_of(made: Made, name: str) -> Path:
    folder = made[f"clients/{name}"]
    if not folder.exists():
        made.certificates.issue(name, datetime.now(UTC))
    return folder


def outcomes(channel: grpc.Channel, *metadata: tuple[str, str]) -> dict[str, str]:
    """The outcome of each request: "" if it was answered, otherwise the reason."""
    found = {name: outcome(channel, name, request, *metadata) for name, request in REQUESTS.items()}
    # Nothing waits for a decision, which only those learn who may decide.
    return {name: "" if (name, reason) == NOTHING_WAITS else reason for name, reason in found.items()}


def outcome(channel: grpc.Channel, name: str, request: dict[str, Any], *metadata: tuple[str, str]) -> str:
    rpc = name.partition(" ")[0]
    method = METHODS[rpc]
    message = message_factory.GetMessageClass(method.input_type)(**request)
    call = channel.stream_stream(f"/privacyplease.proxy.v1.{rpc}", type(message).SerializeToString, None)(
        iter([message]), timeout=20, metadata=metadata
    )
    try:
        for _ in call:
            pass
    except grpc.RpcError as error:
        return reason_of(error)
    return ""


METHODS = {
    f"{service.name}/{method.name}": method
    for contract in CONTRACTS
    for service in contract.services_by_name.values()
    for method in service.methods
}


def reason_of(error: grpc.RpcError) -> str:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # the stubs of gRPC do not say that an RpcError is a Call
    if status is None:
        return str(error.code().name)
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return info.reason.removeprefix("ERROR_REASON_")


def test_every_rpc_has_a_rule_and_every_rule_an_rpc() -> None:
    own = {f"/privacyplease.proxy.v1.{rpc}" for rpc in METHODS}
    assert own <= RULES.keys() | OPEN
    assert RULES.keys() <= own
    assert {rpc.partition(" ")[0] for rpc in REQUESTS} == set(METHODS)


@pytest.mark.parametrize("name", ALLOWED)
def test_exactly_the_allowed_calls_pass(name: str, made: Made, address: str) -> None:
    with channel_with(address, folder_of(made, name)) as channel:
        found = outcomes(channel)
    assert {rpc for rpc, reason in found.items() if not reason} == ALLOWED[name]
    assert {reason for reason in found.values() if reason} <= {"PERMISSION_DENIED"}


def without(made: Made, address: str) -> grpc.Channel:
    return grpc.secure_channel(address, made.anonymous("clients"))


def expired(made: Made, address: str) -> grpc.Channel:
    return forged(made, address, "expired", "client", days_ago=200)


def of_another_ca(made: Made, address: str) -> grpc.Channel:
    return forged(made, address, "foreign", "client", other_ca=True)


def of_the_other_zone(made: Made, address: str) -> grpc.Channel:
    folder = made["proxy-to-storage"]
    key, certificate = ((folder / name).read_bytes() for name in ("tls.key", "tls.crt"))
    return grpc.secure_channel(
        address, grpc.ssl_channel_credentials(made.ca("clients").certificate_pem(), key, certificate)
    )


def of_a_server(made: Made, address: str) -> grpc.Channel:
    return forged(made, address, "server", "server")


def forged(made: Made, address: str, name: str, use: str, **how: Any) -> grpc.Channel:
    """A certificate in the name of the operator, who may do everything."""
    subject = Subject("operator", use, ("localhost",), identity.client_uri("operator"))
    return channel_with(address, made.forged(name, subject, hop="clients", **how))


@pytest.mark.parametrize("certificate", [without, expired, of_another_ca, of_the_other_zone, of_a_server])
def test_no_call_passes_without_the_right_certificate(certificate: Certificate, made: Made, address: str) -> None:
    with certificate(made, address) as channel:
        assert set(outcomes(channel).values()) == {"UNAVAILABLE"}


def client_of(made: Made, address: str, name: str) -> Client:
    return Client(address, certificates=folder_of(made, name))


def test_a_caller_who_acts_for_a_user_may_do_what_both_may(made: Made, address: str) -> None:
    with channel_with(address, folder_of(made, "dashboard")) as channel:
        for person, allowed in (
            ("count", ALLOWED["count"]),
            ("self", ALLOWED["self"]),
            ("operator", ALLOWED["count"]),  # has no devices of their own
            ("stations", set()),  # not among those it may act for
            ("mallory", set()),
        ):
            found = outcomes(channel, ("privacyplease-on-behalf-of", person))
            assert {rpc for rpc, reason in found.items() if not reason} == allowed, person
        two = [("privacyplease-on-behalf-of", person) for person in ("count", "self")]
        assert set(outcomes(channel, *two).values()) == {"PERMISSION_DENIED"}
    with channel_with(address, folder_of(made, "operator")) as channel:
        found = outcomes(channel, ("privacyplease-on-behalf-of", "count"))
        assert set(found.values()) == {"PERMISSION_DENIED"}


def test_keys_and_dead_letters_cannot_be_managed_on_another_users_behalf(made: Made, address: str) -> None:
    in_person = {rpc for rpc in REQUESTS if rpc.startswith("KeysService")} - {"KeysService/ListKeys"}
    with channel_with(address, folder_of(made, "console")) as channel:
        found = outcomes(channel, ("privacyplease-on-behalf-of", "operator"))
    refused = {rpc for rpc, reason in found.items() if reason}
    assert refused == in_person | {"ApprovalService/Decide", "DeadLetterService/Open"}


def test_the_client_learns_what_it_may(made: Made, address: str) -> None:
    with client_of(made, address, "dashboard") as dashboard:
        assert (dashboard.whoami().name, dashboard.whoami().roles) == ("dashboard", ())
        assert dashboard.whoami().may_act_for == ("count", "operator", "self")
        person = dashboard.on_behalf_of("self").whoami()
        assert (person.name, person.on_behalf_of) == ("dashboard", "self")
        assert (person.roles, person.devices) == (("self",), (OWN,))
    with client_of(made, address, "short") as short:
        assert short.whoami().longest_interval == timedelta(hours=2)
    with client_of(made, address, "narrow") as narrow:
        found = narrow.whoami()
        assert (found.datasets, found.purposes) == (("bikes",), ("fire drill",))
    with client_of(made, address, "seldom") as seldom:
        assert seldom.whoami().calls_per_minute == 6
    with client_of(made, address, "nobody") as nobody:
        assert nobody.whoami().roles == ()


def test_a_question_about_a_person_states_a_purpose(made: Made, address: str) -> None:
    with client_of(made, address, "presence") as client:
        for purpose in ("", "  "):
            with pytest.raises(errors.PurposeRequiredError) as raised:
                client.presence(OTHER, *DAY, purpose=purpose)
            assert raised.value.metadata["field"] == "purpose"
            with pytest.raises(errors.PurposeRequiredError):
                client.query("wifi", *DAY, purpose=purpose).to_arrow()
        assert not client.presence(OTHER, *DAY, purpose="lost property").present
    with client_of(made, address, "narrow") as client:
        with pytest.raises(errors.PurposeRequiredError, match="fire drill"):
            client.presence("lund/1", *DAY, dataset="bikes", purpose="curiosity")
        assert not client.presence("lund/1", *DAY, dataset="bikes", purpose=" fire drill ").present


def test_a_callers_own_presence_needs_no_purpose(made: Made, address: str) -> None:
    with client_of(made, address, "mine") as client:
        for own in (OWN, OWN.upper(), "0200.0000.0001"):
            assert not client.presence(own, *DAY).present
        with pytest.raises(errors.PurposeRequiredError):
            client.presence(OTHER, *DAY)


def test_a_data_set_that_the_caller_may_not_ask_about_is_refused(made: Made, address: str) -> None:
    with client_of(made, address, "narrow") as client:
        with pytest.raises(errors.PermissionDeniedError) as raised:
            client.count(*DAY)
        assert raised.value.metadata == {"field": "dataset"}
        assert client.count(*DAY, dataset="bikes") == 0


def test_all_data_sets_are_refused_if_the_caller_may_not_ask_about_one(made: Made, address: str) -> None:
    with channel_with(address, folder_of(made, "part")) as channel:
        for rpc in ("CompactionService/Compact", "KeysService/ListKeys", "VerificationService/Verify"):
            refused = [outcome(channel, rpc, {"dataset": name}) for name in ("wifi", "bikes", "")]
            assert refused == ["", "PERMISSION_DENIED", "PERMISSION_DENIED"], rpc


def test_an_interval_longer_than_allowed_is_refused(made: Made, address: str) -> None:
    with client_of(made, address, "short") as client:
        assert client.count(DAY[0], DAY[0] + timedelta(hours=2)) == 0
        with pytest.raises(errors.LimitExceededError, match="2:00:00") as raised:
            client.count(DAY[0], DAY[0] + timedelta(hours=2, milliseconds=1))
        assert [each.field for each in raised.value.violations] == ["interval"]


def test_calls_beyond_the_rate_are_refused(made: Made, address: str) -> None:
    with client_of(made, address, "seldom") as client:
        for _ in range(2):
            assert client.count(*DAY) == 0
        with pytest.raises(errors.RateLimitedError) as raised:
            client.count(*DAY)
        assert 0 < float(raised.value.metadata["retry_seconds"]) <= 10
        client.whoami()  # does not count against the limit


def test_batches_beyond_the_rate_are_slowed_down(made: Made, address: str) -> None:
    batches = [IngestRequest(dataset="wifi", json_lines="")] * 8
    with channel_with(address, folder_of(made, "slow")) as channel:
        began = time.monotonic()
        assert len(list(IngestServiceStub(channel).Ingest(iter(batches), timeout=20))) == 8
        assert time.monotonic() - began > 0.5


def test_a_stream_cannot_switch_to_a_data_set_that_is_not_allowed(made: Made, address: str) -> None:
    batches = [IngestRequest(dataset=dataset, json_lines="") for dataset in ("wifi", "", "bikes")]
    with channel_with(address, folder_of(made, "wifi-only")) as channel:
        answers = IngestServiceStub(channel).Ingest(iter(batches), timeout=20)
        with pytest.raises(grpc.RpcError) as raised:
            list(answers)
    assert reason_of(raised.value) == "PERMISSION_DENIED"


def test_a_running_stream_ends_when_the_policy_no_longer_allows_it(made: Made, address: str, home: Home) -> None:
    good, more, batch = home.policy.read_text(), threading.Event(), IngestRequest(dataset="wifi", json_lines="")

    def batches() -> Iterator[IngestRequest]:
        yield batch
        more.wait(20)
        yield batch

    home.policy.write_text(good + '[clients.leaver]\nroles = ["ingest"]\n')
    with channel_with(address, folder_of(made, "leaver")) as channel, client_of(made, address, "leaver") as client:
        assert eventually(lambda: client.whoami().roles == ("ingest",), 10)
        stream = IngestServiceStub(channel).Ingest(batches(), timeout=30)
        assert next(iter(stream)).accepted == 0
        home.policy.write_text(good)
        assert eventually(lambda: client.whoami().roles == (), 10)
        more.set()
        with pytest.raises(grpc.RpcError) as raised:
            next(iter(stream))
    assert reason_of(raised.value) == "PERMISSION_DENIED"


def test_a_changed_policy_takes_effect_and_an_invalid_one_does_not(made: Made, address: str, home: Home) -> None:
    good = home.policy.read_text()
    with client_of(made, address, "changed") as client, client_of(made, address, "admin") as admin:
        with pytest.raises(errors.PermissionDeniedError):
            client.count(*DAY)
        home.policy.write_text(good + '[clients.changed]\nroles = ["count"]\n')
        assert eventually(lambda: client.whoami().roles == ("count",), 10)
        assert client.count(*DAY) == 0
        for bad in ('[clients.changed]\nroles = ["everything"]\n', "not TOML"):
            home.policy.write_text(bad)
            assert eventually(lambda: admin.status().policy.problem != "", 10)
            assert client.count(*DAY) == 0
        home.policy.unlink()
        assert eventually(lambda: "cannot be read" in admin.status().policy.problem, 10)
        assert client.count(*DAY) == 0
        home.policy.write_text(good)
        assert eventually(lambda: client.whoami().roles == (), 10)
        assert admin.status().policy.problem == ""
