"""Session durations: `1 days 2 hrs 35 min 55 sec` in its many spellings, or whole seconds."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from privacyplease.ingest.wifi.columns import InvalidRows

__all__ = ["parse"]

_SECONDS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}

# Units with a value of zero may be omitted, and so may spaces.
_UNITS = (
    r"(?i)^(?:(?P<days>\d{1,18})\s*days?)?\s*(?:(?P<hours>\d{1,18})\s*(?:hrs?|hours?))?\s*"
    r"(?:(?P<minutes>\d{1,18})\s*(?:mins?|minutes?))?\s*(?:(?P<seconds>\d{1,18})\s*(?:secs?|seconds?))?$"
)

_FORMAT = "expected a duration such as '1 days 2 hrs 35 min 55 sec', or whole seconds, 0 or more"
_TOO_LONG = "expected a duration of less than 8,000 years"
_MAX_SECONDS = 8_000 * 365 * 86_400


def parse(values: pa.StringArray) -> tuple[npt.NDArray[np.int64], list[InvalidRows]]:
    """Parses durations.

    Args:
        values: string[n], trimmed.

    Returns:
        int64[n], milliseconds, 0 where the value is invalid; and the invalid rows.
    """
    coded = values.dictionary_encode()  # many sessions have the same duration
    seconds = _seconds(coded.dictionary)
    lengths = seconds[coded.indices.to_numpy()]
    invalid = [
        InvalidRows(np.flatnonzero(np.isnan(lengths)), _FORMAT),
        InvalidRows(np.flatnonzero(lengths > _MAX_SECONDS), _TOO_LONG),
    ]
    return np.where(lengths <= _MAX_SECONDS, lengths, 0).astype(np.int64) * 1_000, invalid


def _seconds(texts: pa.StringArray) -> npt.NDArray[np.float64]:
    bare = pc.match_substring_regex(texts, r"^\d+$")
    texts = pc.if_else(bare, pc.binary_join_element_wise(texts, "sec", ""), texts)
    units = pc.extract_regex(pc.if_else(pc.equal(texts, pa.scalar("")), None, texts), _UNITS)
    # Floating point does not overflow, and every duration accepted is exact: it is below 2^53.
    parts = [_number(pc.struct_field(units, unit)) * seconds for unit, seconds in _SECONDS.items()]
    return np.asarray(np.sum(parts, axis=0))


def _number(digits: pa.StringArray) -> npt.NDArray[np.float64]:
    numbers = pc.if_else(pc.equal(digits, pa.scalar("")), "0", digits).cast(pa.float64())
    return np.asarray(numbers.to_numpy(zero_copy_only=False), np.float64)  # null, for no match, becomes NaN
