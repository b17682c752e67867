import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["sessions", "results", "interleaved_runs", "plaintext_service", "__main__"])
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"benchmarks.{name}"))
    assert tried
    assert not failed
