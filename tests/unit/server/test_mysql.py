from __future__ import annotations

import doctest
import os

import pytest

from privacyplease import server
from privacyplease.server import binding, cells, mysql, pages, statements
from privacyplease.server.cells import Cell
from privacyplease.server.errors import StartError
from privacyplease.server.limits import Limits


@pytest.mark.parametrize("module", [binding, cells, mysql, pages, statements])
def test_the_examples_of_the_docstrings_are_true(module: object) -> None:
    failed, attempted = doctest.testmod(module)  # type: ignore[arg-type]
    assert attempted > 0
    assert failed == 0


def test_the_public_names_are_frozen() -> None:
    assert server.__all__ == ["Limits", "Load", "StorageServer", "Store", "build_server", "open_store"]


def test_an_insert_fits_into_one_packet() -> None:
    small = [Cell(os.urandom(16), bytes(4000)) for _ in range(4000)]
    written = list(mysql.inserts(small))
    assert max(map(len, written)) < 2 << 20
    assert len(written) < 50


@pytest.mark.parametrize(
    ("size", "length"),
    [
        (1, "01"),
        (250, "fa"),
        (251, "fc fb 00"),
        (65_535, "fc ff ff"),
        (65_536, "fd 00 00 01"),
        ((1 << 24) - 1, "fd ff ff ff"),
    ],
)
def test_a_bound_value_is_preceded_by_its_length(size: int, length: str) -> None:
    head, value = bytes.fromhex("07 00 00 00 00 01 00 00 00 00 01 fc 00"), bytes(size)
    assert binding.execution(7, [value]) == head + bytes.fromhex(length) + value


@pytest.mark.parametrize("bounds", [{"max_cell_bytes": 0}, {"max_cell_bytes": 1 << 24}, {"max_message_bytes": 1 << 20}])
def test_contradictory_limits_are_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(StartError, match="expected at"):
        Limits(**bounds)
