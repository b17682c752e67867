import logging
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from privacyplease.ingest.consumer.parsers import LARGEST, parser_of, safe
from privacyplease.ingest.errors import IngestError
from privacyplease.ingest.parsed import Misfit, Parsed


def _lengths(messages: Sequence[bytes]) -> Parsed:
    """Takes messages of an odd length, and fails as a whole if one is poison."""
    if b"poison" in messages:
        raise ValueError("poison for somebody")
    good = [position for position, message in enumerate(messages) if len(message) % 2]
    table = pa.table({"length": pa.array([len(messages[position]) for position in good], pa.int64())})
    rejects = [
        Misfit(at, "length", "expected an odd one") for at, message in enumerate(messages) if not len(message) % 2
    ]
    return Parsed(table, np.array(good, np.int64), rejects)


def test_a_message_that_breaks_the_parser_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    messages = [b"a", b"bb", b"poison", b"ccc", b"poison", b"dddd", b"eeeee"]
    with caplog.at_level(logging.INFO):
        parsed = safe(_lengths)(messages)
    assert parsed.rows.tolist() == [0, 3, 6]
    assert parsed.table["length"].to_pylist() == [1, 3, 5]
    unreadable = "expected a record that can be read"
    assert sorted(parsed.rejects) == [
        (1, "length", "expected an odd one"),
        (2, "record", unreadable),
        (4, "record", unreadable),
        (5, "length", "expected an odd one"),
    ]
    assert "poison" not in caplog.text


def test_a_message_that_is_too_large_is_not_even_read() -> None:
    messages = [b"a", bytes(LARGEST + 1), b"bb", b"ccc"]
    parsed = safe(_lengths)(messages)
    assert parsed.rows.tolist() == [0, 3]
    assert [(misfit.position, misfit.field) for misfit in parsed.rejects] == [(1, "record"), (2, "length")]


def test_a_data_set_that_nobody_can_read_is_refused() -> None:
    with pytest.raises(IngestError, match="wifi, bikes"):
        parser_of("parrots", None)


@pytest.mark.parametrize("dataset", ["wifi", "bikes"])
def test_each_data_set_has_a_verdict_on_anything(dataset: str) -> None:
    parsed = parser_of(dataset, None)([b"", b"\xff", b"[]", b"\n\n", b'{"', bytes(100)])
    assert parsed.table.num_rows == 0
    assert [misfit.position for misfit in parsed.rejects] == list(range(6))
