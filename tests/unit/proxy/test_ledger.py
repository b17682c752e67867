"""The ledger: what an answer must hold, may hold and must not hold, at every step of an append."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import pytest
from sqlalchemy import Engine, func, select

from privacyplease.proxy import journal as journal_module
from privacyplease.proxy import ledger as ledger_module
from privacyplease.proxy.errors import CellsMissingError, CellsUnexpectedError, StorageUnavailableError
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.ledger import Asked, Ledger, Look, Verdict
from privacyplease.proxy.sealing import Cell, Owner
from privacyplease.proxy.trusted_store import store as trusted_store

OWNER = Owner("wifi", 666, "subject")
TAGS = sorted(os.urandom(15) + bytes([last]) for last in (0, 0, 1, 2))  # a tag may end in zeros


@pytest.fixture
def ledger(store: Engine, keyring: Keyring) -> Ledger:
    keyring.ensure("wifi", 666)
    return Ledger(store, keyring)


def cells(*tags: bytes, owner: Owner = OWNER) -> list[Cell]:
    return [Cell(tag, os.urandom(15) + bytes(1), b"", owner) for tag in tags]


def asked(*tags: bytes) -> Asked:
    chosen = np.array(sorted(tags or TAGS), "S16")
    return Asked("wifi", "subject", chosen, np.full(len(chosen), 666))


def judged(ledger: Ledger, look: Look, came: Iterable[Cell], question: Asked | None = None) -> Verdict:
    octets = b"".join(sorted(cell.tag + cell.cell_id for cell in came))
    return ledger.judge(question or asked(), look, np.frombuffer(octets, np.uint8).reshape(-1, 32))


def entries(store: Engine) -> int:
    with store.connect() as connection:
        return connection.scalar(select(func.count()).select_from(trusted_store.journal)) or 0


WHOLE = Verdict(0, 0, 0)


@pytest.fixture(params=["stored", "folded", "dropped"])
def step(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How far cells have come that the server must have."""
    if request.param == "dropped":
        monkeypatch.setattr(journal_module, "KEPT_SECONDS", -1)
    return str(request.param)


def stored(ledger: Ledger, step: str, of: list[Cell]) -> None:
    ledger.stored(ledger.sent(of))
    if step != "stored":
        ledger.fold()


def test_what_is_stored_must_come_and_nothing_else(ledger: Ledger, step: str, store: Engine) -> None:
    given = cells(*TAGS, *TAGS, TAGS[0])
    stored(ledger, step, given)
    assert entries(store) == (step != "dropped")
    look = ledger.look(asked())
    assert judged(ledger, look, given) == WHOLE
    assert judged(ledger, look, given[1:]) == Verdict(1, 1, 0)
    assert judged(ledger, look, []) == Verdict(4, 9, 0)
    assert judged(ledger, look, [*given, *cells(TAGS[1])]) == Verdict(1, 0, 1)
    assert judged(ledger, look, [*given[1:], *cells(given[0].tag)]) == Verdict(1, 1, 1)
    assert judged(ledger, look, [*given[1:], *cells(TAGS[3])]) == Verdict(2, 1, 1)


def test_only_the_tags_that_were_asked_for_count(ledger: Ledger, step: str) -> None:
    given = cells(*TAGS)
    stored(ledger, step, given)
    question = asked(TAGS[0], TAGS[2])
    wanted = [cell for cell in given if cell.tag in (TAGS[0], TAGS[2])]
    assert judged(ledger, ledger.look(question), wanted, question) == WHOLE
    assert judged(ledger, ledger.look(question), wanted[:1], question) == Verdict(1, 1, 0)


def test_what_is_on_its_way_may_come_in_part(ledger: Ledger, step: str) -> None:
    before = cells(*TAGS)
    stored(ledger, step, before)
    on_its_way = cells(*TAGS)
    entry = ledger.sent(on_its_way)
    look = ledger.look(asked())
    for came in (0, 1, len(on_its_way)):
        assert judged(ledger, look, before + on_its_way[:came]) == WHOLE
    assert judged(ledger, look, on_its_way).missing == 4
    ledger.stored(entry)
    assert judged(ledger, look, before) == WHOLE  # it was still on its way when the question was asked
    assert judged(ledger, ledger.look(asked()), before).missing == 4


@pytest.mark.parametrize("come", ["stored", "folded"])
def test_what_is_sent_while_the_server_answers_may_come(ledger: Ledger, come: str) -> None:
    look = ledger.look(asked())
    meanwhile = cells(*TAGS)
    stored(ledger, come, meanwhile)
    assert judged(ledger, look, meanwhile[:2]) == WHOLE
    assert judged(ledger, look, [*meanwhile, *cells(TAGS[0])]) == Verdict(1, 0, 1)


def test_folding_changes_no_answer(ledger: Ledger) -> None:
    given = cells(*TAGS, *TAGS)
    ledger.stored(ledger.sent(given))
    before = ledger.look(asked())
    ledger.fold()
    after = ledger.look(asked())
    assert (before.expected == after.expected).all()
    assert judged(ledger, before, given) == judged(ledger, after, given) == WHOLE


def test_what_was_folded_in_several_goes_is_one_set(ledger: Ledger) -> None:
    given = [cells(*TAGS) for _ in range(5)]
    for some in given:
        stored(ledger, "folded", some)
    assert judged(ledger, ledger.look(asked()), [cell for some in given for cell in some]) == WHOLE


def test_much_is_folded_by_itself(ledger: Ledger, store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "FOLDED_FROM_ENTRIES", 3)
    monkeypatch.setattr(journal_module, "KEPT_SECONDS", -1)
    for _ in range(3):
        ledger.stored(ledger.sent(cells(TAGS[0])))
    assert entries(store) == 0


def test_a_ledger_outlives_the_process(ledger: Ledger, step: str, store: Engine, keyring: Keyring) -> None:
    given, left = cells(*TAGS), cells(*TAGS)
    stored(ledger, step, given)
    ledger.sent(left)
    again = Ledger(store, keyring)
    look = again.look(asked())
    assert judged(again, look, given + left[:1]) == WHOLE
    assert judged(again, look, left).missing == 4


def test_two_proxies_share_a_ledger(ledger: Ledger, store: Engine, keyring: Keyring) -> None:
    other = Ledger(store, keyring)
    look = ledger.look(asked())
    first, second = cells(*TAGS), cells(*TAGS)
    entry = ledger.sent(first)
    other.stored(other.sent(second))
    other.fold()
    ledger.stored(entry)
    ledger.fold()
    assert judged(ledger, look, first) == WHOLE
    assert judged(other, other.look(asked()), first + second) == WHOLE
    assert judged(other, other.look(asked()), first).missing == 4


@pytest.mark.parametrize("there", [0, 2, 4])
def test_an_entry_that_nobody_finished_is_settled(ledger: Ledger, there: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left = cells(*TAGS)
    number = ledger.sent(left)
    earlier = ledger.look(asked())
    assert not earlier.sent[0].overdue
    monkeypatch.setattr(journal_module, "SETTLED_AFTER_SECONDS", -1)
    assert earlier.sent[0].overdue
    ledger.settle(earlier.sent[0], np.arange(4) < there)
    later = ledger.look(asked())
    assert judged(ledger, later, left[:there]) == WHOLE
    assert later.sent == []
    for came in range(5):
        assert judged(ledger, earlier, left[:came]) == WHOLE  # whoever asked before
    assert judged(ledger, later, left[there:]) == Verdict(4, there, 4 - there)
    with pytest.raises(StorageUnavailableError, match="too long"):
        ledger.stored(number)  # whoever was thought lost, and was only slow


def test_an_entry_is_settled_once(ledger: Ledger) -> None:
    left = cells(*TAGS)
    ledger.sent(left)
    (entry,) = ledger.look(asked()).sent
    for _ in range(2):
        ledger.settle(entry, np.ones(4, bool))
    assert judged(ledger, ledger.look(asked()), left) == WHOLE


def test_an_answer_that_takes_too_long_has_no_verdict(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    look = ledger.look(asked())
    monkeypatch.setattr(ledger_module, "LONGEST_QUESTION_SECONDS", -1)
    with pytest.raises(StorageUnavailableError, match="too long"):
        judged(ledger, look, [])


def test_an_epoch_is_forgotten(ledger: Ledger, step: str, keyring: Keyring) -> None:
    keyring.ensure("wifi", 667)
    stored(ledger, step, cells(TAGS[0]) + cells(TAGS[1], owner=Owner("wifi", 667, "subject")))
    ledger.forget("wifi", 666)
    assert ledger.look(asked()).expected[:, 0].tolist() == [0, 1, 0, 0]


def test_cells_of_several_indexes_and_epochs_go_together(ledger: Ledger, step: str, keyring: Keyring) -> None:
    keyring.ensure("wifi", 667)
    owners = [OWNER, Owner("wifi", 667, "subject"), Owner("wifi", 666, "place"), Owner("wifi", 667, "place")]
    given = [cell for tag, owner in zip(TAGS, owners, strict=True) for cell in cells(tag, tag, owner=owner)]
    stored(ledger, step, given)
    for tag, owner in zip(TAGS, owners, strict=True):
        question = Asked("wifi", owner.index_name, np.array([tag], "S16"), np.array([owner.epoch]))
        wanted = [cell for cell in given if cell.tag == tag]
        assert judged(ledger, ledger.look(question), wanted, question) == WHOLE
        assert judged(ledger, ledger.look(question), wanted[:1], question) == Verdict(1, 1, 0)


@pytest.mark.parametrize(
    ("verdict", "error"),
    [
        (Verdict(1, 1, 0), CellsMissingError),
        (Verdict(1, 0, 1), CellsUnexpectedError),
        (Verdict(1, 1, 1), CellsUnexpectedError),
    ],
)
def test_a_verdict_that_is_not_whole_is_an_error(verdict: Verdict, error: type[Exception]) -> None:
    WHOLE.check()
    with pytest.raises(error):
        verdict.check()
