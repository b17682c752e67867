from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select, update

from privacyplease.proxy.access.approvals import DAY_MS, HOUR_MS, Approvals, State, described
from privacyplease.proxy.access.rules import RULES
from privacyplease.proxy.errors import ApprovalRequiredError, InvalidRequestError, PermissionDeniedError
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.records.dataset import load
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.trusted_store.tables import approval_macs
from privacyplease.proxy.trusted_store.tables import approvals as table
from privacyplease.proxy.v1.keys_service_pb2 import DestroyEpochsRequest, ExportKeyringRequest, RotateMasterRequest

RPC = "KeysService/RotateMaster"
HSM = RotateMasterRequest(master_key="hsm")


class Clock:
    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def __call__(self) -> float:
        return self.ms / 1_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def approvals(tmp_path: Path, clock: Clock) -> Approvals:
    return Approvals(trusted_store.open_store(tmp_path / "trusted.db", durable=False), Key(bytes(32)), clock)


def ask(approvals: Approvals, request: RotateMasterRequest = HSM, asked_by: str = "carol") -> int:
    with pytest.raises(ApprovalRequiredError) as refused:
        approvals.require(RPC, request, asked_by)
    return int(refused.value.metadata["approval"])


def test_a_call_is_refused_until_another_grants_it_and_may_then_be_made_once(approvals: Approvals) -> None:
    number = ask(approvals)
    assert ask(approvals) == number
    granted = approvals.decide(number, "dave", grant=True)
    assert (granted.state, granted.decided_by) == (State.GRANTED, "dave")
    approvals.require(RPC, HSM, "carol")
    assert ask(approvals) == number + 1
    assert [each.state for each in approvals.list()] == [State.WAITING, State.USED]


def test_nobody_grants_what_they_have_asked_for(approvals: Approvals) -> None:
    number = ask(approvals)
    with pytest.raises(PermissionDeniedError, match="another identity"):
        approvals.decide(number, "carol", grant=True)
    assert ask(approvals) == number


def test_a_grant_is_for_this_request_and_for_whoever_has_asked(approvals: Approvals) -> None:
    approvals.decide(ask(approvals), "dave", grant=True)
    ask(approvals, RotateMasterRequest(master_key="vault"))
    ask(approvals, asked_by="mallory")
    with pytest.raises(ApprovalRequiredError):
        approvals.require("KeysService/Another", HSM, "carol")
    approvals.require(RPC, HSM, "carol")


def test_what_was_denied_is_asked_for_anew(approvals: Approvals) -> None:
    number = ask(approvals)
    assert approvals.decide(number, "dave", grant=False).state is State.DENIED
    assert ask(approvals) == number + 1
    with pytest.raises(InvalidRequestError, match="got one that is denied"):
        approvals.decide(number, "dave", grant=True)
    with pytest.raises(InvalidRequestError, match="got one that is unknown"):
        approvals.decide(99, "dave", grant=True)


def test_an_approval_expires_undecided_after_a_day_and_unused_after_an_hour(approvals: Approvals, clock: Clock) -> None:
    number = ask(approvals)
    clock.ms += DAY_MS
    with pytest.raises(InvalidRequestError, match="got one that is expired"):
        approvals.decide(number, "dave", grant=True)
    second = ask(approvals)
    assert second == number + 1
    approvals.decide(second, "dave", grant=True)
    clock.ms += HOUR_MS
    assert ask(approvals) == second + 1
    assert [each.state for each in approvals.list()] == [State.WAITING, State.EXPIRED, State.EXPIRED]


def test_a_passphrase_is_neither_shown_nor_bound_nor_stored(approvals: Approvals, tmp_path: Path) -> None:
    number = ask(approvals, RotateMasterRequest(passphrase="correct horse"))
    (listed,) = approvals.list()
    assert (listed.number, listed.request) == (number, "")
    approvals.decide(number, "dave", grant=True)
    approvals.require(RPC, RotateMasterRequest(passphrase="another"), "carol")
    assert b"correct horse" not in (tmp_path / "trusted.db").read_bytes()


def test_a_request_is_described_for_whoever_decides() -> None:
    request = DestroyEpochsRequest(dataset="wifi", before=Timestamp(seconds=1_704_067_200))
    assert described(request) == "dataset: wifi, before: 2024-01-01T00:00:00Z"
    export = ExportKeyringRequest(dataset="wifi", passphrase="secret")
    export.interval.start.seconds = 1_704_067_200
    assert described(export) == "dataset: wifi, interval: (start: 2024-01-01T00:00:00Z)"


def test_one_identity_cannot_bury_what_others_ask_for(approvals: Approvals) -> None:
    for number in range(20):
        ask(approvals, RotateMasterRequest(master_key=f"key-{number}"))
    with pytest.raises(InvalidRequestError, match="at most 20 approvals that wait"):
        approvals.require(RPC, HSM, "carol")
    ask(approvals, asked_by="erin")


def test_a_relative_time_asks_for_the_same_while_it_names_the_same_epochs() -> None:
    datasets = load()
    rule = RULES["/privacyplease.proxy.v1.KeysService/DestroyEpochs"]
    times = Timestamp(seconds=1_704_067_200), Timestamp(seconds=1_704_067_260)
    one, later = (DestroyEpochsRequest(dataset="wifi", before=time) for time in times)
    assert rule.approval(one, datasets) == rule.approval(later, datasets)
    assert one.before.seconds == 1_704_067_200
    assert rule.approval(DestroyEpochsRequest(dataset="wifi", dry_run=True), datasets) is None
    assert rule.approval(DestroyEpochsRequest(dataset="nobody's"), datasets) is not None


def test_all_that_wait_are_counted_and_what_was_decided_or_expired_is_not(approvals: Approvals, clock: Clock) -> None:
    for name in (f"person {number}" for number in range(51)):
        for key in range(20):
            ask(approvals, RotateMasterRequest(master_key=str(key)), name)
    assert approvals.waiting() == 1_020  # more than a list has
    approvals.decide(1, "dave", grant=True)
    approvals.decide(2, "dave", grant=False)
    assert approvals.waiting() == 1_018
    clock.ms += DAY_MS
    assert approvals.waiting() == 0


@pytest.mark.parametrize(
    "forged",
    [
        {"state": State.GRANTED, "decided_by": "dave"},
        {"request": "something harmless"},
        {"asked_by": "mallory"},
        {"digest": bytes(32)},
    ],
)
def test_whoever_writes_to_the_store_grants_nothing_and_changes_nothing_that_is_shown(
    tmp_path: Path, clock: Clock, forged: dict[str, object]
) -> None:
    store = trusted_store.open_store(tmp_path / "trusted.db")
    approvals = Approvals(store, Key(bytes(32)), clock)
    number = ask(approvals)
    with store.begin() as connection:
        connection.execute(update(table).values(forged))
    assert approvals.list() == []
    with pytest.raises(InvalidRequestError, match="got one that is unknown"):
        approvals.decide(number, "dave", grant=True)
    assert ask(approvals) > number
    assert ask(approvals, asked_by="mallory") > number


def test_a_snapshot_of_the_store_brings_a_used_grant_back_for_its_hour_and_no_longer(
    tmp_path: Path, clock: Clock
) -> None:
    store = trusted_store.open_store(tmp_path / "trusted.db")
    approvals = Approvals(store, Key(bytes(32)), clock)
    approvals.decide(ask(approvals), "dave", grant=True)
    with store.connect() as connection:
        snapshot = [(each, connection.execute(select(each)).one()._asdict()) for each in (table, approval_macs)]
    for _ in range(2):
        approvals.require(RPC, HSM, "carol")
        with store.begin() as connection:
            for each, row in snapshot:
                connection.execute(update(each).values(row))
    clock.ms += HOUR_MS
    ask(approvals)
