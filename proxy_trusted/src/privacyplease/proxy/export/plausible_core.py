"""Whether a cell that nobody vouches for can be read as a core without harm.

Everyone who has the same exported keyring can seal a core of their own, and nothing in the keyring tells it from the
genuine one. So its offsets could point outside of their buffers, and its codes outside of their dictionaries.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from privacyplease.proxy.errors import CellDamagedError
from privacyplease.proxy.records.timeline import EARLIEST, LATEST
from privacyplease.proxy.segments.core import Unsigned
from privacyplease.proxy.segments.pages import BASE, UNIT

_SUBJECTS = (pa.int64(), pa.string())


def plausible_core(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch, if it has the form of a core; what it says is not checked.

    Raises:
        CellDamagedError: No proxy makes such a core.
    """
    try:
        batch.validate(full=True)
        sound = _is_core(batch)
    except (pa.ArrowException, ValueError, TypeError, KeyError) as error:
        raise CellDamagedError("a cell does not hold a core", cells=1) from error
    if not sound:
        raise CellDamagedError("a cell does not hold a core", cells=1)
    return batch


def _is_core(batch: pa.RecordBatch) -> bool:
    subject, place, begins, durations = batch.columns
    base, unit = (int((batch.schema.metadata or {})[name]) for name in (BASE, UNIT))
    return (
        _is_coded(subject, _SUBJECTS)
        and _is_coded(place, (pa.string(),))
        and _all_in_use(subject.indices.to_numpy(), len(subject.dictionary))
        and all(pa.types.is_unsigned_integer(each.type) and not each.null_count for each in (begins, durations))
        and EARLIEST <= base <= LATEST
        and 1 <= unit <= LATEST
        and base + sum(int(each.to_numpy().max(initial=0)) for each in (begins, durations)) * unit <= LATEST
    )


def _is_coded(column: pa.Array, values: Sequence[pa.DataType]) -> bool:
    kind = column.type
    return (
        pa.types.is_dictionary(kind)
        and pa.types.is_unsigned_integer(kind.index_type)
        and kind.value_type in values
        and not column.null_count
        and not column.dictionary.null_count
    )


def _all_in_use(codes: Unsigned, values: int) -> bool:
    """Whether the codes ascend, and each value has one."""
    return len(np.unique(codes)) == values and bool((codes[1:] >= codes[:-1]).all())
