"""A master key inside an HSM: PKCS#11 v2.40, named by a URI (RFC 7512).

The HSM holds a generic secret that never leaves it and is used only for HMAC-SHA256. Each wrapping draws a salt, has
the HSM compute a key from it, and seals the data key here under that key:

::

    wrap key = HMAC-SHA256(secret in the HSM, label ‖ salt)
    wrapped  = salt (32) ‖ AES-256-GCM(wrap key, data key, associated data)

HMAC being a PRF, wrap keys are independent and random, and without the HSM none can be computed. AES-GCM is not done in
the HSM, because HSMs differ in who chooses the nonce and some ignore the associated data, while all of them have this
HMAC; and AES-KW (RFC 3394) binds no associated data at all.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pkcs11
from pkcs11 import exceptions

from privacyplease.proxy.errors import (
    ConfigurationError,
    MasterKeyRefusedError,
    MasterKeyUnavailableError,
    WrongPassphraseError,
)
from privacyplease.proxy.keys.derivation import KEY_BYTES, Key, context
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.keys.providers.secret_sources import secret_from_environment, secret_from_file

HSM_LABEL = b"privacyplease/v1/hsm-wrap"
SALT_BYTES = 32

_WRONG_PIN = (exceptions.PinIncorrect, exceptions.PinInvalid, exceptions.PinLenRange, exceptions.PinLocked)
_REFUSED = (
    exceptions.NoSuchKey,
    exceptions.MultipleObjectsReturned,
    exceptions.MechanismInvalid,
    exceptions.KeyTypeInconsistent,
    exceptions.FunctionRejected,
)


class KeyLocation(NamedTuple):
    """Where the HSM's secret is found.

    Attributes:
        module: The HSM's library.
        token: The token's label.
        object: The secret's label.
        pin_source: A file with the PIN, or "".
    """

    module: str
    token: str
    object: str
    pin_source: str


class HsmMasterKey:
    """A master key that an HSM holds. Safe to use from many threads."""

    def __init__(self, location: KeyLocation, pin: str) -> None:
        self._location = location
        self._pin = pin
        self._lock = threading.Lock()

    def wrap(self, key: Key, associated: bytes) -> bytes:
        """See `MasterKey.wrap`."""
        salt = secrets.token_bytes(SALT_BYTES)
        return salt + LocalMasterKey(self._wrap_key(salt)).wrap(key, associated)

    def unwrap(self, wrapped: bytes, associated: bytes) -> Key:
        """See `MasterKey.unwrap`."""
        wrap_key = self._wrap_key(wrapped[:SALT_BYTES])
        return LocalMasterKey(wrap_key).unwrap(wrapped[SALT_BYTES:], associated)

    def _wrap_key(self, salt: bytes) -> Key:
        mechanism = pkcs11.Mechanism.SHA256_HMAC
        with self._lock, _refusals(self._location):
            return Key(self._with_secret(lambda secret: secret.sign(context(HSM_LABEL, salt), mechanism=mechanism)))

    def _with_secret(self, use: Callable[[Any], bytes]) -> bytes:
        """Opens a session for each use, so that an HSM that was restarted in between is found again."""
        token = pkcs11.lib(self._location.module).get_token(token_label=self._location.token)
        with token.open(user_pin=self._pin) as session:
            mac = use(session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=self._location.object))
        if len(mac) != KEY_BYTES:
            message = f"expected {KEY_BYTES} bytes from the HSM, got {len(mac)}"
            raise MasterKeyRefusedError(message, provider="pkcs11")
        return mac


def open_key(uri: str, environment: Mapping[str, str]) -> HsmMasterKey:
    """The master key of a URI, as "pkcs11:token=T;object=O?module-path=/path/module.so".

    The PIN comes from the file that `pin-source` names, or from PRIVACYPLEASE_PKCS11_PIN.

    Raises:
        ConfigurationError: The URI lacks a part, or there is no PIN.
    """
    location = parse(uri)
    if location.pin_source:
        return HsmMasterKey(location, secret_from_file(Path(location.pin_source), "pin-source"))
    return HsmMasterKey(location, secret_from_environment(environment, "PRIVACYPLEASE_PKCS11_PIN"))


def parse(uri: str) -> KeyLocation:
    """Reads a PKCS#11 URI (RFC 7512) with the attributes `token`, `object`, `module-path` and `pin-source` (a file).

    Raises:
        ConfigurationError: An attribute is missing or not supported. A PIN in the URI itself is not supported.
    """
    path, _, query = uri.removeprefix("pkcs11:").partition("?")
    pairs = [pair.partition("=") for part in (path.split(";"), query.split("&")) for pair in part if pair]
    attributes = {name: unquote(value) for name, _, value in pairs}
    required = ("token", "object", "module-path")
    if set(required) - set(attributes) or set(attributes) - {*required, "pin-source"}:
        raise ConfigurationError(
            "master_key: expected pkcs11:token=…;object=…?module-path=…, optionally with &pin-source=FILE"
        )
    return KeyLocation(
        attributes["module-path"], attributes["token"], attributes["object"], attributes.get("pin-source", "")
    )


@contextmanager
def _refusals(location: KeyLocation) -> Iterator[None]:
    """Maps PKCS#11 errors to the proxy's."""
    try:
        yield
    except _WRONG_PIN as error:
        raise WrongPassphraseError(f"the PIN does not open the HSM's token {location.token!r}") from error
    except _REFUSED as error:
        message = f"the HSM's token {location.token!r} has no secret {location.object!r} that computes HMAC-SHA256"
        raise MasterKeyRefusedError(f"{message}: {type(error).__name__}", provider="pkcs11") from error
    except (exceptions.PKCS11Error, RuntimeError, OSError) as error:
        message = f"the HSM's token {location.token!r} cannot be reached: {type(error).__name__}"
        raise MasterKeyUnavailableError(message, provider="pkcs11") from error
