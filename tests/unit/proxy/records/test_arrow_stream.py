"""Arrow IPC streams: what plain writers write is read, and what would take memory out of proportion is refused."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pytest

from privacyplease.proxy.records.arrow_stream import UnboundedStreamError, read
from tests.services.arrow_bombs import bombs, stream

MOST = 65_536

REASONS = {
    "zstd": "without compression",
    "lz4": "without compression",
    "zstd in a dictionary": "without compression",
    "one value for all": "at most 67,108,864 bytes of text, written out, got 68,719,476,736",
    "one large value for all": "at most 67,108,864 bytes of text, written out, got 68,719,476,736",
    "one number of a mebibyte for all": "at most 67,108,864 bytes of text, written out, got 68,719,476,736",
    "views of one value": "at most 67,108,864 bytes of text, written out, got 68,719,476,736",
    "growing dictionary": "expected whole dictionaries",
    "a dictionary for every batch": "at most 67,108,864 values of dictionaries in all batches together",
    "lists": "without nested values",
    "structs": "without nested values",
    "runs": "without nested values",
    "too many records": "at most 65,536 records",
    "too many values in a dictionary": "at most 1,048,576 values in a dictionary",
    "too many columns": "at most 512 columns, got 1,000",
    "too many empty batches": "at most 262,144 columns in all batches together, got 262,500",
    "too much metadata": "at most 262,144 bytes of metadata",
    "overlapping buffers": "bytes in the buffers of a batch",
    "shared metadata": "bytes of names and metadata",
}

# Reads a good stream, and then the others, as the proxy does; prints by how many MiB the process grew at its peak.
MEASURE = """
import pickle, resource, sys
from privacyplease.proxy.records.arrow_stream import UnboundedStreamError, read
good, *others = pickle.load(sys.stdin.buffer)
read(good, 65_536)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for stream in others:
    try:
        read(stream, 65_536)
    except UnboundedStreamError:
        pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.fixture(scope="module")
def attacks() -> dict[str, bytes]:
    return bombs()


@pytest.mark.parametrize("name", REASONS)
def test_a_stream_that_would_take_memory_out_of_proportion_is_refused(attacks: dict[str, bytes], name: str) -> None:
    with pytest.raises(UnboundedStreamError, match=REASONS[name]):
        read(attacks[name], MOST)


def test_what_is_refused_is_refused_before_memory_is_taken(attacks: dict[str, bytes]) -> None:
    """Together they declare more than 128 GiB."""
    assert attacks.keys() == REASONS.keys()
    assert max(map(len, attacks.values())) < 16 << 20  # as a batch may be
    given = pickle.dumps([stream({"who": ["a"]}), *attacks.values()])
    run = subprocess.run([sys.executable, "-c", MEASURE], input=given, capture_output=True, check=True)
    assert int(run.stdout) < 48


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"who": pa.array([], pa.string())}),
        pa.table({"who": ["alice", None], "n": [1, 2], "x": [0.5, None], "ok": [True, None]}),
        pa.table({"who": pa.array(["alice", "b" * 100, None], pa.string_view())}),
        pa.table({"who": pa.array(["alice", None], pa.large_string()), "nothing": pa.nulls(2)}),
        pa.table({"at": pa.array([0], pa.timestamp("us", "Europe/Berlin")), "for": pa.array([1], pa.duration("s"))}),
        pa.table({"who": pa.array(["a", "b", "a", None]).dictionary_encode()}),
        pa.concat_tables(pa.table({"who": pa.array([name]).dictionary_encode()}) for name in "abc"),
        pa.concat_tables([pa.table({"who": [str(number)]}) for number in range(500)]),
        pa.Table.from_pandas(pd.DataFrame({"who": pd.Categorical(["x", "y"]), "n": [1, 2]})),
    ],
    ids=["empty", "plain", "views", "large", "times", "coded", "replaced dictionaries", "many batches", "pandas"],
)  # fmt: skip
def test_what_plain_writers_write_is_read(table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    assert read(sink.getvalue().to_pybytes(), MOST).equals(table, check_metadata=True)


@pytest.mark.parametrize("end", [0, 3, 7, 8, 60, -9, -40])
def test_a_stream_that_is_cut_off_is_no_arrow_stream(end: int) -> None:
    whole = stream({"who": ["a"]})
    with pytest.raises((pa.ArrowInvalid, OSError)):
        read(whole[:end], MOST)
