from __future__ import annotations

import gzip

import pyarrow as pa

from privacyplease.ingest.parsing import RejectedMessage
from privacyplease.ingest.spark.log_files import LogFiles
from privacyplease.ingest.spark.parsed_batches import ParsedBatch

HEADER = b"Client MAC Address,AP Name,Association Time,Session Duration\n"
GOOD = b"02:fb:ae:12:7e:8d,ap-14,2024-10-01T00:00:00Z,49 min 43 sec\n"
BAD = b"02:fb:ae:12:7e:8d,ap-14,last Tuesday,0 sec\n"


def _parsed(*contents: bytes) -> list[ParsedBatch]:
    paths = [f"file:/logs/{number}.csv" for number in range(len(contents))]
    return list(LogFiles(None)(pa.record_batch({"path": paths, "content": pa.array(contents, pa.binary())})))


def test_a_log_is_read_as_from_a_file_and_its_positions_are_lines() -> None:
    plain, zipped = _parsed(HEADER + GOOD + BAD + GOOD, gzip.compress(HEADER + GOOD))
    assert plain.parsed.rows.tolist() == [2, 4]
    assert [(each.position, each.field) for each in plain.parsed.rejects] == [(3, "association_time")]
    assert zipped.parsed.table.num_rows == 1


def test_a_letter_has_the_raw_line_and_says_which_it_is() -> None:
    (batch,) = _parsed(HEADER + GOOD + BAD)
    letter = batch.letter(batch.parsed.rejects[0])
    assert letter.message == BAD.strip()
    assert (letter.origin.topic, letter.origin.offset) == ("file:/logs/0.csv", 3)
    refused = batch.letter(RejectedMessage(2, "client_mac", "expected another"))
    assert refused.message == GOOD.strip()
    assert refused.origin.offset == 2


def test_a_file_that_is_no_log_or_is_cut_short_is_rejected_and_the_others_are_read() -> None:
    cut = gzip.compress(HEADER + GOOD * 10_000)[:-50]
    first, *_, last = batches = _parsed(b"not a log", HEADER + GOOD, cut, HEADER + GOOD)
    assert "expected a header line" in first.parsed.rejects[0].reason
    assert last.parsed.table.num_rows == 1
    unread = [each for batch in batches for each in batch.parsed.rejects]
    assert len(unread) == 2
    letter = first.letter(first.parsed.rejects[0])
    assert (letter.message, letter.origin.offset) == (b"", 0)
    assert "still in its file" in letter.omitted
