import io

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.ingest import wifi

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1).map(str.strip).filter(bool)
ROWS = st.lists(st.tuples(TEXT, TEXT, st.integers(0, 10**11), st.integers(0, 10**7), st.none() | TEXT), min_size=1)
MISSING = ("unknown", "not supported")


@given(ROWS)
def test_written_sessions_are_read_back_unchanged(rows: list[tuple[str, str, int, int, str | None]]) -> None:
    rows = [row for row in rows if row[0].lower() not in MISSING]
    names = ["client_mac", "ap_name", "association_time", "session_duration", "vendor"]
    columns = dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=False)) if rows else {}
    for name in ("association_time", "session_duration"):
        columns[name] = pa.array([each * 1_000 for each in columns.get(name, [])]).cast(wifi.SCHEMA.field(name).type)
    table = pa.table([columns.get(name, pa.nulls(len(rows))) for name in wifi.SCHEMA.names], schema=wifi.SCHEMA)
    stream = io.BytesIO()
    assert wifi.write([table], stream) == len(rows)
    stream.seek(0)
    blocks = list(wifi.read(stream))
    assert not [reject for block in blocks for reject in block.rejects]
    assert pa.concat_tables([wifi.SCHEMA.empty_table(), *(block.table for block in blocks)]).equals(table)


def test_slices_of_tables_are_written_whole() -> None:
    text = b"Client MAC Address,AP Name,Association Time,Session Duration\n" + b"a,b,2024-10-01T00:00:00Z,5\n" * 9
    [block] = wifi.read(io.BytesIO(text))
    stream = io.BytesIO()
    wifi.write([block.table.slice(7), block.table.slice(0, 0)], stream)
    assert stream.getvalue().count(b"\n,a,Tue Oct 01 00:00:00 UTC 2024,,b,,,,,,,5 sec,,") == 2
