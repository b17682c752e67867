"""Lines of the log: their fields, and that an exception's message is never among them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import grpc
import pytest

from privacyplease.transport.call_log import FinishedCall, log_failure
from privacyplease.transport.log_format import LogFormat, handler

REFUSED = FinishedCall("Append", "", grpc.StatusCode.INVALID_ARGUMENT, "SOME_REASON", "", 0.0123, False, 0, 0)


@pytest.fixture(params=[*LogFormat])
def lines(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    writer = handler(stream, request.param)
    logger = logging.getLogger("privacyplease.transport")
    logger.addHandler(writer)
    logger.propagate = False  # a handler of pytest's would format exceptions first, and logging keeps what it wrote
    yield stream
    logger.propagate = True
    logger.removeHandler(writer)


def test_a_failed_call_is_logged_and_a_successful_one_is_not(lines: io.StringIO) -> None:
    log_failure(REFUSED._replace(code=grpc.StatusCode.OK))
    log_failure(REFUSED._replace(code=grpc.StatusCode.CANCELLED))
    assert lines.getvalue() == ""
    log_failure(REFUSED)
    line = lines.getvalue()
    if line.startswith("{"):
        fields = json.loads(line)
        assert (fields["rpc"], fields["reason"], fields["duration_ms"]) == ("Append", "SOME_REASON", 12.3)
        assert fields.keys().isdisjoint({"client", "error_id", "exception"})
    else:
        assert line.endswith("call refused rpc=Append code=INVALID_ARGUMENT reason=SOME_REASON duration_ms=12.3\n")


def test_the_message_of_an_exception_is_not_logged(lines: io.StringIO) -> None:
    try:
        raise ValueError("aa:bb:cc:dd:ee:ff")
    except ValueError:
        logging.getLogger("privacyplease.transport").exception("something failed")
    assert "aa:bb" not in lines.getvalue()
    assert "ValueError at " in lines.getvalue()
    assert "test_the_message_of_an_exception_is_not_logged" in lines.getvalue()
