"""What the ingest service makes of a batch."""

from __future__ import annotations

import pyarrow as pa
import pytest

from privacyplease.proxy.records import arrow_stream, dataset
from privacyplease.proxy.services import ingest
from privacyplease.proxy.v1 import ingest_service_pb2 as pb


def test_a_batch_for_which_there_is_no_memory_is_not_called_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_data: bytes, _most: int) -> pa.Table:
        raise pa.ArrowMemoryError("malloc of size 64 failed")

    monkeypatch.setattr(arrow_stream, "read", read)
    with pytest.raises(MemoryError):
        ingest._check(pb.IngestRequest(arrow=b"batch"), dataset.load()["wifi"])
