"""Variables that come through a pipe."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from privacyplease.transport import environment
from privacyplease.transport.environment import DESCRIPTOR, encode

VARIABLES = {"PLAIN": "1", "WITH_EQUALS": "a=b=", "LINES": "a\nb", "NOT_ASCII": "pässword", "EMPTY": ""}


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The end to write to of a pipe whose other end the environment names."""
    reading, writing = os.pipe()
    for name in VARIABLES:
        monkeypatch.setenv(name, "before")
    monkeypatch.setenv(DESCRIPTOR, str(reading))
    yield writing
    os.close(reading)


def test_what_was_written_is_in_the_environment_and_the_descriptor_no_longer(pipe: int) -> None:
    with open(pipe, "wb") as writer:
        writer.write(encode(VARIABLES))
    environment.receive()
    assert {name: os.environ[name] for name in VARIABLES} == VARIABLES
    assert DESCRIPTOR not in os.environ


def test_an_empty_pipe_changes_nothing(pipe: int) -> None:
    os.close(pipe)
    environment.receive()
    assert {os.environ[name] for name in VARIABLES} == {"before"}


def test_without_a_descriptor_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DESCRIPTOR, raising=False)
    before = dict(os.environ)
    environment.receive()
    assert dict(os.environ) == before
