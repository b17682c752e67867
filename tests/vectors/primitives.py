"""What the makers of vectors share: primitives by the plainest tools there are, and names in the place of chance.

Nothing of Privacy Please is imported. HMAC comes from the standard library, AES and AES-GCM from `cryptography`; GMAC
and CMAC are worked out here from single AES blocks.

>>> gmac(bytes(32), bytes(12), b"").hex()  # the GCM specification (McGrew, Viega), test case 13
'530f8afbc74536b9a963b4f1c4cb738b'
>>> cmac(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"), b"").hex()  # RFC 4493, example 1
'bb1d6929e95937287fa37d129b756746'
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Vectors = list[dict[str, Any]]


def named(name: str, length: int = 32) -> bytes:
    """Bytes that stand for a key, a nonce or a tag: the hash of their name."""
    return hashlib.sha256(name.encode()).digest()[:length]


def context(*parts: bytes | str) -> bytes:
    encoded = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join(struct.pack(">I", len(part)) + part for part in encoded)


def hkdf_expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand with SHA-256 for 32 bytes is one HMAC: T(1) = HMAC(key, info ‖ 01) (RFC 5869 §2.3)."""
    return hmac.digest(key, info + b"\x01", "sha256")


def aes(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


def sealed(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Nonce, ciphertext and authentication tag of AES-GCM."""
    return nonce + AESGCM(key).encrypt(nonce, plaintext, associated)


def gmac(key: bytes, nonce: bytes, message: bytes) -> bytes:
    """GCM of an empty plaintext (NIST SP 800-38D §6.4 and §7.1), the message being the associated data."""
    h, state = int.from_bytes(aes(key, bytes(16)), "big"), 0
    lengths = struct.pack(">QQ", 8 * len(message), 0)
    hashed = message + bytes(-len(message) % 16) + lengths
    for at in range(0, len(hashed), 16):
        state = _product(state ^ int.from_bytes(hashed[at : at + 16], "big"), h)
    return xor(state.to_bytes(16, "big"), aes(key, nonce + b"\0\0\0\1"))


def cmac(key: bytes, message: bytes) -> bytes:
    """AES-CMAC (RFC 4493 §2.4)."""
    k1 = _doubled(aes(key, bytes(16)))
    blocks = [message[at : at + 16] for at in range(0, len(message), 16)] or [b""]
    if len(blocks[-1]) == 16:
        blocks[-1] = xor(blocks[-1], k1)
    else:
        blocks[-1] = xor((blocks[-1] + b"\x80").ljust(16, b"\0"), _doubled(k1))
    state = bytes(16)
    for block in blocks:
        state = aes(key, xor(state, block))
    return state


def xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def flipped(data: bytes, at: int) -> bytes:
    """The data with one bit of one byte changed."""
    changed = bytearray(data)
    changed[at] ^= 0x01
    return bytes(changed)


def _product(x: int, y: int) -> int:
    """In GF(2^128) as GCM has it: the first bit is the lowest power (NIST SP 800-38D §6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return product


def _doubled(block: bytes) -> bytes:
    number = int.from_bytes(block, "big") << 1
    return (number ^ ((1 << 128 | 0x87) if number >> 128 else 0)).to_bytes(16, "big")
