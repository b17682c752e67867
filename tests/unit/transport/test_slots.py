import pytest

from privacyplease.transport.slots import CallKind, Reached, Slots


def slots(number: int) -> Slots:
    return Slots(CallKind("question", ("/",), number, 120.0))


@pytest.mark.parametrize(("number", "share"), [(1, 1), (2, 1), (3, 2), (16, 8)])
def test_one_identity_holds_half_of_the_slots_rounded_up(number: int, share: int) -> None:
    own = slots(number)
    assert [own.take("alice") for _ in range(share)] == [None] * share
    reached = own.take("alice")
    assert reached is not None
    assert reached.limit == share
    assert [own.take("bob") for _ in range(number - share)] == [None] * (number - share)
    assert own.take("carol") == Reached("question", number, of_one_identity=False)


def test_callers_that_cannot_be_told_apart_hold_all_slots() -> None:
    own = slots(4)
    assert [own.take(None) for _ in range(4)] == [None] * 4
    assert str(own.take(None)) == "all 4 question slots are in use"


def test_a_released_slot_is_free_for_its_identity_and_for_others() -> None:
    own = slots(2)
    for name in ("alice", "bob", "alice"):
        assert own.take(name) is None
        own.release(name)
    assert own.take("alice") is None
