"""Pages of coded text, as compaction has it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from privacyplease.proxy.segments.pages import CODED, pack, unpack

TABLE = pa.table(
    {
        "text": pa.array(["b", None, "a", "b"]),
        "none": pa.nulls(4, pa.string()),
        "number": pa.array([7, None, 9, 7]),
    }
)


def test_text_stays_coded_on_request() -> None:
    coded = unpack(pack(TABLE), coded=True)
    assert coded.schema.types == [CODED, CODED, pa.int64()]
    assert coded.to_pydict() == TABLE.to_pydict()


@pytest.mark.parametrize("rows", [slice(0, 4), slice(1, 3), slice(0, 0)])
def test_coded_text_makes_the_same_page_as_text(rows: slice) -> None:
    """The dictionary of the selected rows has entries that none of them uses."""
    number = range(4)[rows]
    coded = unpack(pack(TABLE), coded=True).take(pa.array(number, pa.int64()))
    assert pack(coded).equals(pack(TABLE.take(pa.array(number, pa.int64()))), check_metadata=True)


def test_coded_text_of_several_pages_makes_one() -> None:
    other = pa.table({"text": ["c", "a"], "number": [1, 2]})
    coded = [unpack(pack(table), coded=True) for table in (TABLE, other)]
    together = pa.concat_tables(coded, promote_options="default").unify_dictionaries().combine_chunks()
    assert pack(together).equals(pack(pa.concat_tables([TABLE, other], promote_options="default")))
