"""The vectorised PRFs against the library, one input at a time."""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.prf import cmac, permute

SECRETS = st.sampled_from([16, 24, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size))


@given(SECRETS, st.lists(st.binary(max_size=100), max_size=20), st.integers(0, 255))
def test_cmac_equals_that_of_the_library(secret: bytes, messages: list[bytes], filler: int) -> None:
    lengths = np.array([len(message) for message in messages], np.int64)
    rows = np.full((len(messages), int(lengths.max(initial=0))), filler, np.uint8)  # the rest of a row is ignored
    for row, message in zip(rows, messages, strict=True):
        row[: len(message)] = np.frombuffer(message, np.uint8)
    assert [mac.tobytes() for mac in cmac(Key(secret), rows, lengths)] == [library(secret, m) for m in messages]


def library(secret: bytes, message: bytes) -> bytes:
    mac = CMAC(algorithms.AES(secret))
    mac.update(message)
    return mac.finalize()


@given(SECRETS, st.lists(st.binary(min_size=16, max_size=16), max_size=20))
def test_permute_encrypts_each_block_on_its_own(secret: bytes, blocks: list[bytes]) -> None:
    encrypted = permute(Key(secret), np.frombuffer(b"".join(blocks), np.uint8).reshape(-1, 16))
    one_by_one = [Cipher(algorithms.AES(secret), modes.ECB()).encryptor().update(block) for block in blocks]
    assert [block.tobytes() for block in encrypted] == one_by_one
