"""An answer is bytes from outside: a lying proxy makes the client allocate no more than it sends."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from privacyplease.client import Client
from privacyplease.client.errors import FaultError
from privacyplease.proxy.v1 import query_service_pb2, stations_service_pb2
from tests.services.arrow_bombs import WRITTEN_OUT, bombs, stream

DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)
PAGE_BYTES = 1 << 20
# Large only to whoever writes them out; or small in each batch, and a stream may have any number of those.
IN_PROPORTION = {*WRITTEN_OUT, "a dictionary for every batch", "too many empty batches"}

REFUSED = {
    "zstd": "without compression",
    "lz4": "without compression",
    "zstd in a dictionary": "without compression",
    "growing dictionary": "expected whole dictionaries",
    "lists": "without nested values",
    "structs": "without nested values",
    "runs": "without nested values",
    "too many records": "at most 131,072 records",
    "too many values in a dictionary": "at most 1,048,576 values in a dictionary",
    "too many columns": "at most 512 columns",
    "too much metadata": "at most 262,144 bytes of metadata",
    "overlapping buffers": "bytes in the buffers of a batch",
    "shared metadata": "bytes of names and metadata",
}

# Reads a good stream, and then the others, as the client does; prints by how many MiB the process grew at its peak.
MEASURE = """
import io, pickle, resource, sys
from privacyplease.client._internal.tables.record_stream import RecordStream
from privacyplease.client.errors import FaultError
good, *others = pickle.load(sys.stdin.buffer)
RecordStream(io.BytesIO(good)).read_all()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for stream in others:
    try:
        RecordStream(io.BytesIO(stream)).read_all()
        print("read")
    except FaultError:
        pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.fixture(scope="module")
def attacks() -> dict[str, bytes]:
    return {name: bomb for name, bomb in bombs().items() if name not in IN_PROPORTION}


def answer(proxy: Any, arrow: bytes) -> None:
    pages = [
        query_service_pb2.QueryResponse(arrow=arrow[begin : begin + PAGE_BYTES])
        for begin in range(0, len(arrow), PAGE_BYTES)
    ]
    proxy.on("Query", lambda request, context: iter(pages))
    latest = stations_service_pb2.ListLatestResponse(arrow=arrow)
    proxy.on("ListLatest", lambda request, context: iter([latest]))


@pytest.mark.parametrize("name", REFUSED)
def test_an_answer_that_would_take_memory_out_of_proportion_is_refused(
    attacks: dict[str, bytes], name: str, proxy: Any, client: Client
) -> None:
    answer(proxy, attacks[name])
    with pytest.raises(FaultError, match=REFUSED[name]):
        client.query("wifi", *DAY).to_arrow()
    with pytest.raises(FaultError, match=REFUSED[name]):
        list(client.query("wifi", *DAY))
    with pytest.raises(FaultError, match=REFUSED[name]):
        client.stations_now("lund")


def test_it_is_refused_before_memory_is_taken(attacks: dict[str, bytes]) -> None:
    assert attacks.keys() == REFUSED.keys()
    given = pickle.dumps([stream({"who": ["a"]}), *attacks.values()])
    run = subprocess.run([sys.executable, "-c", MEASURE], input=given, capture_output=True, check=True)
    assert int(run.stdout) < 48


def test_memory_is_taken_for_bytes_that_arrive_and_not_for_a_length_that_is_announced(
    proxy: Any, client: Client
) -> None:
    whole = stream({"who": ["a" * 1_000]})
    (length,) = struct.unpack_from("<i", whole, 4)
    batch = 8 + length  # where the batch begins
    (metadata,) = struct.unpack_from("<i", whole, batch + 4)
    body = len(whole) - 8 - (batch + 8 + metadata)
    announced = whole[batch:].replace(struct.pack("<q", body), struct.pack("<q", 1 << 40), 1)
    answer(proxy, whole[:batch] + announced)
    with pytest.raises(FaultError):
        client.query("wifi", *DAY).to_arrow()


def test_offsets_beyond_a_columns_buffer_are_refused(proxy: Any, client: Client) -> None:
    whole = stream({"who": ["abc", "def"]})
    answer(proxy, whole.replace(struct.pack("<iii", 0, 3, 6), struct.pack("<iii", 0, 3, 1 << 30)))
    for read in (lambda: client.query("wifi", *DAY).to_arrow(), lambda: list(client.query("wifi", *DAY))):
        with pytest.raises(FaultError):
            read()


def test_a_plain_answer_is_read(proxy: Any, client: Client) -> None:
    table = pa.table({"who": pa.array(["a", None, "b"]).dictionary_encode(), "n": [1, 2, 3]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    answer(proxy, sink.getvalue().to_pybytes())
    assert client.query("wifi", *DAY).to_arrow() == table
