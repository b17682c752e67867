"""A master key inside HashiCorp Vault or OpenBao: the transit engine over its HTTP API.

The key must be of a type that supports associated data, such as `aes256-gcm96`, the default. Vault sees each data key
when it is made and when a proxy opens it, so the connection is TLS everywhere but on loopback. As associated data it
gets only a hash, so that it does not learn names of data sets.

The token needs `read` on `transit/keys/NAME` and `update` on `transit/encrypt/NAME` and `transit/decrypt/NAME`. It must
not have `create` on `transit/encrypt/NAME`, with which Vault would create a new key for a misspelt name.

Vault also holds a key-encryption key for each data key, `NAME-` and 32 hexadecimal digits, in the same mount. For these
the token needs `create`, `update`, `read` and `delete` on `transit/keys/NAME-*`, and `update` on
`transit/encrypt/NAME-*` and `transit/decrypt/NAME-*`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from copy import copy
from typing import Any

import requests

from privacyplease.proxy.errors import (
    ConfigurationError,
    KeyUnavailableError,
    MasterKeyRefusedError,
    MasterKeyUnavailableError,
)
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.providers.secret_sources import secret_from_environment

TIMEOUT_SECONDS = 10.0

_NAME_BYTES = 16

_URL = re.compile(r"vault:(https?://[^/]+)/(.+)/keys/([\w.-]+)")
_LOOPBACK = re.compile(r"http://(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?")


class VaultMasterKey:
    """A master key that Vault or OpenBao holds. Safe to use from many threads.

    Attributes:
        name: Its name in Vault.
    """

    def __init__(self, server: str, mount: str, name: str, token: str) -> None:
        self._root, self.name = f"{server}/v1/{mount}", name
        self._headers = {"X-Vault-Token": token, "X-Vault-Request": "true"}

    def wrap(self, key: Key, associated: bytes) -> bytes:
        """See `MasterKey.wrap`. Returns Vault's own text, as "vault:v1:…"."""
        plaintext = b64encode(key.reveal()).decode()
        answer = self.call("POST", "encrypt", plaintext=plaintext, associated_data=_bound(associated))
        return str(answer["ciphertext"]).encode()

    def unwrap(self, wrapped: bytes, associated: bytes) -> Key:
        """See `MasterKey.unwrap`."""
        ciphertext = wrapped.decode("ascii", errors="replace")
        answer = self.call("POST", "decrypt", ciphertext=ciphertext, associated_data=_bound(associated))
        return Key(b64decode(answer["plaintext"]))

    def check_exists(self) -> None:
        """Checks that the key exists, since with some permissions a request to wrap would create it.

        Raises:
            KeyringError: There is no such key, or Vault does not answer.
        """
        self.call("GET", "keys")

    def exists(self) -> bool:
        """Whether the key exists, or the mount does not.

        Raises:
            KeyringError: Vault does not answer, or refuses.
        """
        return bool(self.call("GET", "keys", missing={}))

    def beside(self, name: str) -> VaultMasterKey:
        """Another key of the same mount."""
        other = copy(self)
        other.name = name
        return other

    def call(
        self,
        method: str,
        operation: str,
        suffix: str = "",
        *,
        missing: dict[str, Any] | None = None,
        **body: str | bool,
    ) -> dict[str, Any]:
        """Asks Vault for an operation on the key.

        Args:
            method: The method of HTTP.
            operation: What goes before the name in the path.
            suffix: What follows it.
            missing: The answer if there is no such key; None to raise an error then.
            body: The parameters.

        Returns:
            Vault's `data`; empty if it answers without any.

        Raises:
            KeyringError: Vault does not answer, or refuses.
        """
        url = f"{self._root}/{operation}/{self.name}{suffix}"
        try:
            answer = requests.request(
                method, url, json=body or None, headers=self._headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
            )
            if answer.status_code == requests.codes.ok:
                return dict(answer.json()["data"] or {})
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise MasterKeyUnavailableError("the vault cannot be reached", provider="vault") from error
        if answer.status_code == requests.codes.no_content:
            return {}
        if answer.status_code == requests.codes.not_found and missing is not None:
            return missing
        raise self._refusal(answer.status_code, operation)

    def _refusal(self, status: int, operation: str) -> Exception:
        """The error for Vault's status: 400 bad ciphertext, 403 no permission, 404 no such key, 429 and above busy."""
        if status == requests.codes.bad_request and operation == "decrypt":
            return KeyUnavailableError("a wrapped key does not open under the vault's key")
        if status == requests.codes.service_unavailable:
            return MasterKeyUnavailableError("the vault is sealed or under maintenance", provider="vault")
        if status >= requests.codes.too_many_requests:
            return MasterKeyUnavailableError(f"the vault does not answer at present: status {status}", provider="vault")
        causes = {
            requests.codes.forbidden: "the token was revoked, or may not use this key",
            requests.codes.not_found: f"there is no key {self.name!r}",
        }
        cause = causes.get(status, f"status {status}")
        return MasterKeyRefusedError(f"the vault refuses to {operation}: {cause}", provider="vault")


class VaultEpochKeys:
    """Key-encryption keys that Vault or OpenBao holds, beside the master key. Safe to use from many threads."""

    def __init__(self, place: str, master: VaultMasterKey) -> None:
        self._place = place
        self._master = master

    @property
    def place(self) -> str:
        """See `EpochKeyHolder.place`."""
        return self._place

    def make(self) -> str:
        """See `EpochKeyHolder.make`."""
        name = f"{self._master.name}-{secrets.token_hex(_NAME_BYTES)}"
        self.key(name).call("POST", "keys", type="aes256-gcm96")  # by default it can neither be exported nor backed up
        return name

    def key(self, name: str) -> VaultMasterKey:
        """See `EpochKeyHolder.key`."""
        return self._master.beside(name)

    def exists(self, name: str) -> bool:
        """See `EpochKeyHolder.exists`."""
        if self.key(name).exists():
            return True
        self._master.check_exists()  # else the mount is missing, and not the key
        return False

    def destroy(self, name: str) -> None:
        """See `EpochKeyHolder.destroy`."""
        if self.exists(name):
            self.key(name).call("POST", "keys", "/config", deletion_allowed=True)
            self.key(name).call("DELETE", "keys")
            if self.exists(name):
                raise MasterKeyRefusedError("the vault still has a key that it was told to delete", provider="vault")


def open_key(url: str, environment: Mapping[str, str]) -> VaultMasterKey:
    """The master key of a URL, as "vault:https://host:8200/transit/keys/NAME".

    The token comes from VAULT_TOKEN, or from the file that VAULT_TOKEN_FILE names; likewise BAO_TOKEN.

    Raises:
        ConfigurationError: The URL is malformed or would send keys in the clear, or there is no token.
        KeyringError: Vault does not answer, or has no such key.
    """
    match = _URL.fullmatch(url)
    if not match:
        raise ConfigurationError("master_key: expected vault:https://HOST:PORT/transit/keys/NAME")
    server, mount, name = match.groups()
    if server.startswith("http:") and not _LOOPBACK.fullmatch(server):
        raise ConfigurationError("master_key: expected vault:https://…; plain http is allowed only on loopback")
    master = VaultMasterKey(server, mount, name, secret_from_environment(environment, "VAULT_TOKEN", "BAO_TOKEN"))
    master.check_exists()
    return master


def open_epoch_keys(url: str, environment: Mapping[str, str]) -> VaultEpochKeys:
    """The key-encryption keys beside the master key of a URL.

    Raises:
        ProxyError: As `open_key`.
    """
    return VaultEpochKeys(url, open_key(url, environment))


def _bound(associated: bytes) -> str:
    return b64encode(hashlib.sha256(associated).digest()).decode()
