"""Pseudorandom functions over many short inputs at once.

Both make one AES call over one buffer for each block column, so that a million inputs take a few milliseconds and no
Python loop over inputs.

>>> import numpy as np
>>> key = Key(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
>>> cmac(key, np.zeros((1, 0), np.uint8), np.zeros(1, np.int64)).tobytes().hex()  # RFC 4493, example 1
'bb1d6929e95937287fa37d129b756746'
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from privacyplease.proxy.keys.derivation import Key

BLOCK = 16

Bytes = npt.NDArray[np.uint8]

# Up to so many messages are faster one by one: a question has one subject, or a few.
FEW = 8


def permute(key: Key, blocks: Bytes) -> Bytes:
    """Encrypts each 16-byte block on its own.

    One AES block is a pseudorandom permutation (FIPS 197), and so a PRF up to the birthday bound of 2^64 blocks under
    one key (PRP/PRF switching lemma). Distinct blocks give distinct outputs, always.

    ECB is used here as the plain permutation of unique, structured inputs, not as a mode to hide repeated plaintext.

    Args:
        key: AES-128 or AES-256.
        blocks: uint8[n, 16].

    Returns:
        uint8[n, 16].
    """
    encryptor = Cipher(algorithms.AES(key.reveal()), modes.ECB()).encryptor()  # noqa: S305
    out = encryptor.update(np.ascontiguousarray(blocks).tobytes()) + encryptor.finalize()
    return np.frombuffer(out, np.uint8).reshape(-1, BLOCK)


def cmac(key: Key, messages: Bytes, lengths: npt.NDArray[np.int64]) -> Bytes:
    """AES-CMAC (NIST SP 800-38B, RFC 4493) of many messages: a PRF on strings of any length.

    Args:
        key: AES-128 or AES-256.
        messages: uint8[n, width], one message per row, left-aligned. Bytes beyond a row's length are ignored.
        lengths: int64[n], the messages' lengths in bytes, each at most `width`.

    Returns:
        uint8[n, 16].
    """
    if len(lengths) <= FEW:
        return cmac_each(key, [row[:length].tobytes() for row, length in zip(messages, lengths.tolist(), strict=True)])
    blocks = np.maximum(1, -(-lengths // BLOCK))
    padded = _padded(messages, lengths, blocks)
    _mask_last_block(key, padded, lengths, blocks)
    state = np.zeros((len(lengths), BLOCK), np.uint8)
    for column in range(padded.shape[1] // BLOCK):
        live = np.flatnonzero(blocks > column)
        block = padded[live, column * BLOCK : (column + 1) * BLOCK]
        state[live] = permute(key, state[live] ^ block)
    return state


def cmac_each(key: Key, messages: Iterable[bytes]) -> Bytes:
    """As `cmac`, for a few messages: one by one, by the library."""
    unused = CMAC(algorithms.AES(key.reveal()))
    digests = []
    for message in messages:
        mac = unused.copy()
        mac.update(message)
        digests.append(mac.finalize())
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, BLOCK)


def _padded(messages: Bytes, lengths: npt.NDArray[np.int64], blocks: npt.NDArray[np.int64]) -> Bytes:
    """The messages with a 1 bit after each incomplete last block and zeros after that, as RFC 4493 §2.4 pads."""
    width = int(blocks.max(initial=1)) * BLOCK
    padded = np.zeros((len(lengths), width), np.uint8)
    shared = min(width, messages.shape[1])
    padded[:, :shared] = messages[:, :shared]
    padded[np.arange(width) >= lengths[:, None]] = 0
    incomplete = np.flatnonzero(lengths < blocks * BLOCK)
    padded[incomplete, lengths[incomplete]] = 0x80
    return padded


def _mask_last_block(key: Key, padded: Bytes, lengths: npt.NDArray[np.int64], blocks: npt.NDArray[np.int64]) -> None:
    """XORs the subkey K1 into complete last blocks and K2 into padded ones (RFC 4493 §2.3), in place."""
    k1 = _doubled(int.from_bytes(permute(key, np.zeros((1, BLOCK), np.uint8)).tobytes(), "big"))
    masks = np.frombuffer(k1.to_bytes(BLOCK, "big") + _doubled(k1).to_bytes(BLOCK, "big"), np.uint8).reshape(2, BLOCK)
    incomplete = (lengths < blocks * BLOCK).astype(np.int64)
    columns = ((blocks - 1) * BLOCK)[:, None] + np.arange(BLOCK)
    padded[np.arange(len(lengths))[:, None], columns] ^= masks[incomplete]


def _doubled(x: int) -> int:
    """Multiplies by x in GF(2^128) modulo x^128 + x^7 + x^2 + x + 1 (RFC 4493 §2.3)."""
    doubled = x << 1
    return doubled ^ ((1 << 128) | 0x87) if doubled >> 128 else doubled
