"""Reading the known answers, for tests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from privacyplease.proxy.errors import CellDamagedError, ConfigurationError, KeyUnavailableError, WrongPassphraseError
from privacyplease.proxy.keys.derivation import Key
from tests.vectors.make import FOLDER

# The error for each kind of failure that vectors name.
EXPECTED = {
    "cell damaged": CellDamagedError,
    "key unavailable": KeyUnavailableError,
    "wrong passphrase": WrongPassphraseError,
    "bad file": ConfigurationError,
}

Vector = dict[str, Any]


def vectors(name: str) -> list[Vector]:
    """All vectors of a file, as written."""
    loaded: list[Vector] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def each(name: str, *, opens: bool) -> pytest.MarkDecorator:
    """Runs a test with each vector of a file that opens, or with each that must be refused, as `vector`."""
    valid, *others = vectors(name)
    chosen = [
        vector for vector in (valid, *(valid | other for other in others)) if opens == (vector["expected"] == "opens")
    ]
    return pytest.mark.parametrize("vector", chosen, ids=[vector["name"] for vector in chosen])


def key(text: str) -> Key:
    """The key that is given in hexadecimal."""
    return Key(bytes.fromhex(text))
