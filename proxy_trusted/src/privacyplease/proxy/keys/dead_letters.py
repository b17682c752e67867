"""Dead letters: messages that could not be ingested, sealed so that they can wait on an untrusted bus.

::

    letter     = version (1 byte) ‖ epoch (i64) ‖ nonce (12) ‖ AES-256-GCM(letter key, nonce, payload, associated data)
    associated = label ‖ data set ‖ epoch, each preceded by its length

The letter key is derived from the data key of the data set's letters in the epoch in which the letter was sealed, so
letters are erased with the epoch like everything else. A letter's length reveals that of its payload, which the bus
knew before.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privacyplease.proxy.errors import KeyUnavailableError
from privacyplease.proxy.keys.derivation import KeyId, context
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import NONCE_BYTES

VERSION = b"\x02"
LETTER_LABEL = b"privacyplease/v2/letter"

_EPOCH_BYTES = 8
_BODY = len(VERSION) + _EPOCH_BYTES + NONCE_BYTES


class DeadLetters:
    """Seals and opens dead letters."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, payloads: list[bytes], dataset: str, epoch: int) -> list[bytes]:
        """Seals each payload.

        Args:
            payloads: The messages, as received.
            dataset: The data set that they were meant for.
            epoch: The current epoch.
        """
        self._keyring.ensure(letters_of(dataset), epoch)
        aead, associated = self._aead(dataset, epoch), _associated(dataset, epoch)
        head = VERSION + epoch.to_bytes(_EPOCH_BYTES, "big", signed=True)
        nonces = [secrets.token_bytes(NONCE_BYTES) for _ in payloads]
        return [
            head + nonce + aead.encrypt(nonce, payload, associated)
            for nonce, payload in zip(nonces, payloads, strict=True)
        ]

    def open(self, letter: bytes, dataset: str) -> bytes | None:
        """Opens a letter; None if it was changed or sealed for another data set, or if its epoch was erased."""
        epoch = int.from_bytes(letter[len(VERSION) : len(VERSION) + _EPOCH_BYTES], "big", signed=True)
        nonce, body = letter[_BODY - NONCE_BYTES : _BODY], letter[_BODY:]
        if letter[: len(VERSION)] != VERSION or len(nonce) < NONCE_BYTES:
            return None
        try:
            return self._aead(dataset, epoch).decrypt(nonce, body, _associated(dataset, epoch))
        except (InvalidTag, KeyUnavailableError):
            return None

    def _aead(self, dataset: str, epoch: int) -> AESGCM:
        return AESGCM(self._keyring.derived(letters_of(dataset), KeyId(epoch), LETTER_LABEL).reveal())


def letters_of(dataset: str) -> str:
    """The owner of the data keys of a data set's letters. It is not a valid name of a data set."""
    return f"{dataset}/letters"


def _associated(dataset: str, epoch: int) -> bytes:
    return context(LETTER_LABEL, dataset, epoch.to_bytes(_EPOCH_BYTES, "big", signed=True))
