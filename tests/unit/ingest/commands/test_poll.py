"""`privacyplease ingest poll`: what it logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

from privacyplease.ingest.cli import app

COMMAND = ["poll", "gbfs", "http://127.0.0.1:1/gbfs.json", "--bootstrap", "127.0.0.1:1", "--topic", "bikes"]


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = kept[0], kept[1]


def test_the_log_has_the_type_of_an_exception_and_not_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def poll(*_arguments: object, **_named: object) -> None:
        try:
            raise ValueError("aa:bb:cc:dd:ee:ff")
        except ValueError:
            logging.getLogger("a library").exception("polling failed")

    monkeypatch.setattr("privacyplease.ingest.kafka.producer.Producer", lambda *_arguments: nullcontext())
    monkeypatch.setattr("privacyplease.ingest.feeds.polling.poll", poll)
    done = CliRunner().invoke(app, COMMAND)
    assert "ERROR a library: polling failed" in done.stderr
    assert "ValueError" in done.stderr
    assert "aa:bb" not in done.stderr
