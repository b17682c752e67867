"""Cell ids look random, differ, and say when."""

import numpy as np

from privacyplease.proxy.cell_ids import draw, drawing, sealed_at
from privacyplease.proxy.keys.derivation import Key

AT = 1_727_784_000_123


def _rows(ids: bytes) -> np.ndarray:
    return np.frombuffer(ids, np.uint8).reshape(-1, 16)


def test_ids_of_one_instant_differ_in_every_byte_and_tell_it_to_the_key_alone() -> None:
    key, other = Key.generate(), Key.generate()
    ids = _rows(draw(key, 1_000, AT))
    assert len({row.tobytes() for row in ids}) == 1_000
    assert all(len(set(column)) > 200 for column in ids.T.tolist())
    assert set(sealed_at(key, ids).tolist()) == {AT}
    assert AT not in sealed_at(other, ids)


def test_they_can_be_drawn_without_end() -> None:
    ids = drawing(Key.generate())
    assert len({next(ids) for _ in range(1_000)}) == 1_000
