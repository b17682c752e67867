from __future__ import annotations

import math

import pytest

from privacyplease.ingest.errors import IngestError
from privacyplease.ingest.spark.options import BadRecords, DurationUnit, SinkOptions

GOOD = {"proxy": "proxy:50051", "dataset": "wifi", "certificates": "/certificates"}


def test_names_of_options_are_read_in_any_case_since_spark_lowers_them() -> None:
    given = {"durationUnit": "ms", "badRecords": "deadLetter", "deadLetter.bootstrap": "kafka:9092", "RETRY": "forever"}
    lowered = {name.lower(): value for name, value in given.items()}
    assert SinkOptions.read({**GOOD, **given}) == SinkOptions.read({**GOOD, **lowered})
    options = SinkOptions.read({**GOOD, **lowered})
    assert options.duration_unit is DurationUnit.MILLISECONDS
    assert options.bad_records is BadRecords.DEAD_LETTER
    assert options.retry_s == math.inf


def test_an_option_of_the_query_itself_is_ignored() -> None:
    assert SinkOptions.read({**GOOD, "checkpointlocation": "/checkpoint"}) == SinkOptions.read(GOOD)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"durationunits": "ms"}, "got 'durationunits'"),
        ({"path": "/data"}, "got 'path'"),
        ({"proxy": ""}, "expected the option proxy, got none"),
        ({"dataset": ""}, "expected the option dataset, got none"),
        ({"certificates": ""}, "expected either the option certificates"),
        ({"insecure": "true"}, "expected either the option certificates"),
        ({"insecure": "yes"}, "expected insecure=true or insecure=false"),
        ({"durationUnit": "minutes"}, "expected durationUnit to be one of s, ms, us, ns; got 'minutes'"),
        ({"badRecords": "drop"}, "expected badRecords to be one of fail, deadLetter; got 'drop'"),
        ({"badRecords": "deadLetter"}, "expected badRecords=deadLetter and deadLetter.bootstrap together"),
        ({"deadLetter.bootstrap": "kafka:9092"}, "expected badRecords=deadLetter and deadLetter.bootstrap together"),
        ({"retry": "-1"}, "expected retry to be whole seconds or 'forever', got '-1'"),
        ({"timezone": "Middle/Earth"}, "Middle/Earth"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_by_name(changes: dict[str, str], message: str) -> None:
    with pytest.raises(IngestError, match=message.replace(".", r"\.")):
        SinkOptions.read({**GOOD, **changes})
