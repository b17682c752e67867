"""A master key inside AWS KMS.

The associated data of a wrapped key goes into the encryption context, which KMS authenticates and CloudTrail logs in
the clear, so only its hash is sent. Credentials are found by boto3: environment, profile, or the machine's role.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from privacyplease.proxy.errors import (
    ConfigurationError,
    KeyUnavailableError,
    MasterKeyRefusedError,
    MasterKeyUnavailableError,
)
from privacyplease.proxy.keys.derivation import Key

CONTEXT_NAME = "privacyplease"

_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "max_attempts": 3})
_ARN_PARTS = 6

# https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html#API_Decrypt_Errors
_DOES_NOT_OPEN = {"InvalidCiphertextException", "IncorrectKeyException"}
_REFUSED = {
    "DisabledException": "the key is disabled",
    "KMSInvalidStateException": "the key is scheduled for deletion or was deleted",
    "NotFoundException": "there is no such key",
    "AccessDeniedException": "these credentials may not use the key",
    "InvalidKeyUsageException": "the key is not an encryption key",
    "UnrecognizedClientException": "these credentials are not valid",
    "ExpiredTokenException": "these credentials have expired",
}


class KmsMasterKey:
    """A master key that AWS KMS holds. Safe to use from many threads."""

    def __init__(self, arn: str, client: Any) -> None:  # noqa: ANN401  # boto3 makes its clients' classes at run time
        self._arn = arn
        self._kms = client

    def wrap(self, key: Key, associated: bytes) -> bytes:
        """See `MasterKey.wrap`. Returns KMS's own ciphertext."""
        with _refusals():
            answer = self._kms.encrypt(KeyId=self._arn, Plaintext=key.reveal(), EncryptionContext=_bound(associated))
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, associated: bytes) -> Key:
        """See `MasterKey.unwrap`. The request names the key, so KMS tries no other that the credentials may use."""
        if not wrapped:
            raise KeyUnavailableError("expected a wrapped key, got an empty one")
        with _refusals():
            answer = self._kms.decrypt(KeyId=self._arn, CiphertextBlob=wrapped, EncryptionContext=_bound(associated))
        return Key(bytes(answer["Plaintext"]))


def open_key(choice: str, _environment: Mapping[str, str]) -> KmsMasterKey:
    """The master key of "aws-kms:arn:aws:kms:REGION:ACCOUNT:key/ID"; an alias's ARN works as well.

    Raises:
        ConfigurationError: The text is not the ARN of a KMS key.
    """
    arn = choice.removeprefix("aws-kms:")
    parts = arn.split(":", _ARN_PARTS - 1)
    if len(parts) < _ARN_PARTS or parts[0] != "arn" or parts[2] != "kms" or not parts[3]:
        raise ConfigurationError("master_key: expected aws-kms:arn:aws:kms:REGION:ACCOUNT:key/ID")
    return KmsMasterKey(arn, boto3.client("kms", region_name=parts[3], config=_CONFIG))


def _bound(associated: bytes) -> dict[str, str]:
    return {CONTEXT_NAME: hashlib.sha256(associated).hexdigest()}


@contextmanager
def _refusals() -> Iterator[None]:
    """Maps KMS errors to the proxy's. KMS's messages hold account numbers, so they stay in the chain of causes."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _DOES_NOT_OPEN:
            raise KeyUnavailableError("a wrapped key does not open under the KMS key") from error
        if code in _REFUSED:
            raise MasterKeyRefusedError(f"AWS KMS refuses: {_REFUSED[code]}", provider="aws-kms", code=code) from error
        raise MasterKeyUnavailableError(f"AWS KMS does not answer: {code}", provider="aws-kms", code=code) from error
    except NoCredentialsError as error:
        raise MasterKeyRefusedError("there are no credentials for AWS KMS", provider="aws-kms") from error
    except BotoCoreError as error:
        raise MasterKeyUnavailableError("AWS KMS cannot be reached", provider="aws-kms") from error
