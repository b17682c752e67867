import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacyplease.ingest.parsing import RejectedMessage
from privacyplease.ingest.wifi.messages import parse


def session(number: int) -> bytes:
    return f"\t02:00:00:00:00:{number % 256:02x}\t2024-10-01T00:00:00Z\t\tap-{number}\t\t\t\t\t\t\t60\t\t".encode()


def test_an_empty_batch_has_no_records() -> None:
    parsed = parse([], None)
    assert (parsed.table.num_rows, parsed.rows.tolist(), parsed.rejects) == (0, [], [])


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_trailing_newline_is_ignored(end: bytes) -> None:
    parsed = parse([session(1) + end, session(2)], None)
    assert parsed.table["ap_name"].to_pylist() == ["ap-1", "ap-2"]


@pytest.mark.parametrize(
    ("message", "field", "reason"),
    [
        (b"", "record", "expected a session, got an empty message"),
        (b"\n", "record", "expected a session, got an empty message"),
        (session(1) + b"\n" + session(2), "record", "expected no newline within a message"),
        (b"\n" + session(1), "record", "expected no newline within a message"),
        (session(1).replace(b"ap", b"a\rp"), "record", "expected no carriage return within a line"),
        (session(1).replace(b"ap", b"\xff"), "record", "expected text in UTF-8"),
        (b"a\tb\tc", "record", "expected 14 or 15 fields, got 3"),
        (session(1).replace(b"60", b"long"), "session_duration", None),
    ],
)
def test_a_bad_message_is_rejected_with_its_reason_without_affecting_others(
    message: bytes, field: str, reason: str | None
) -> None:
    parsed = parse([session(10), message, session(11), message, session(12)], None)
    assert parsed.table["ap_name"].to_pylist() == ["ap-10", "ap-11", "ap-12"]
    assert parsed.rows.tolist() == [0, 2, 4]
    assert [(reject.position, reject.field) for reject in parsed.rejects] == [(1, field), (3, field)]
    assert reason is None or {reject.reason for reject in parsed.rejects} == {reason}


odd = st.one_of(
    st.binary(max_size=80),
    st.builds(lambda cut, junk: session(1)[:cut] + junk + session(1)[cut:], st.integers(0, 60), st.binary(max_size=4)),
    st.lists(st.sampled_from([b"\t", b"\n", b"\r", b'"', b"a", b"\xef\xbb\xbf"]), max_size=40).map(b"".join),
)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.one_of(odd, st.integers(0, 999).map(session)), max_size=12))
def test_whether_a_message_is_rejected_does_not_depend_on_the_batch(messages: list[bytes]) -> None:
    parsed = parse(messages, None)
    assert sorted([*parsed.rows.tolist(), *(reject.position for reject in parsed.rejects)]) == list(
        range(len(messages))
    )
    rows = dict(zip(parsed.rows.tolist(), parsed.table.to_pylist(), strict=True))
    rejects = {reject.position: reject for reject in parsed.rejects}
    for position, message in enumerate(messages):
        alone = parse([message], None)
        if position in rows:
            assert alone.table.to_pylist() == [rows[position]]
        else:
            assert alone.rejects == [RejectedMessage(0, *rejects[position][1:])]
