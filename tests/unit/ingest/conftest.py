"""The folder of the real logs, and a function to read a small one."""

import io
import os
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest

from privacyplease.ingest import wifi
from privacyplease.ingest.parsing import RejectedLine

_ROOT = Path(__file__).parents[3]

Read = Callable[..., "Result"]


class Result(NamedTuple):
    table: pa.Table
    lines: list[int]
    rejects: list[RejectedLine]

    def rejected(self) -> list[tuple[int, str]]:
        return [(reject.line, reject.field) for reject in self.rejects]


def _read(source: str | bytes | Path, timezone: tzinfo | None = None, block_bytes: int = 8 << 20) -> Result:
    text = source.encode() if isinstance(source, str) else source
    stream = io.BytesIO(text) if isinstance(text, bytes) else text
    blocks = list(wifi.read(stream, timezone=timezone, block_bytes=block_bytes))
    tables = [block.table for block in blocks] or [wifi.SCHEMA.empty_table()]
    lines = [line for block in blocks for line in block.lines.tolist()]
    return Result(pa.concat_tables(tables), lines, [reject for block in blocks for reject in block.rejects])


@pytest.fixture
def read() -> Read:
    return _read


@pytest.fixture(scope="session")
def logs() -> Path:
    folder = Path(os.environ.get("PRIVACYPLEASE_DATA") or _ROOT / "../shared/data") / "wifi"
    if not folder.is_dir():
        pytest.skip("the real logs are missing: set PRIVACYPLEASE_DATA to the folder of the test data")
    return folder
