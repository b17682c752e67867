"""Every example in a docstring of the shipped packages is true."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import privacyplease

GENERATED = ("_pb2", "_pb2_grpc")
# The examples of the clients need a proxy: tests/integration/test_documents.py runs them.
CLIENTS = ("privacyplease.client._internal.aio.", "privacyplease.client._internal.blocking.")


def modules_with_examples() -> Iterator[str]:
    """Their names, from the files: a namespace package is walked by no other way. Nothing is imported yet."""
    for root in map(Path, privacyplease.__path__):
        for file in sorted(root.rglob("*.py")):
            if not file.stem.endswith(GENERATED) and ">>> " in file.read_text(encoding="utf-8"):
                parts = file.relative_to(root.parent).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("name", sorted(name for name in modules_with_examples() if not name.startswith(CLIENTS)))
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert tried
    assert not failed
