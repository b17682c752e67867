"""A master key inside an HSM: PKCS#11 v2.40, named by a URI of RFC 7512.

The HSM holds a generic secret that never leaves it and computes one thing with it: HMAC-SHA256. Each wrapping draws a
salt, has the HSM compute a key from it, and seals the data key here, under that key:

::

    wrap key = HMAC-SHA256(secret in the HSM, label ‖ salt)
    wrapped  = salt (32) ‖ AES-256-GCM(wrap key, data key, associated data)

HMAC being a PRF, wrap keys are independent and random, and whoever lacks the HSM can compute none. Why not have the HSM
do the AES-GCM: HSMs differ in who chooses the nonce and some ignore the associated data, while every one of them has
this HMAC; and AES-KW (RFC 3394) binds no associated data at all.
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
    """Where the secret is.

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

    def __init__(self, place: KeyLocation, pin: str) -> None:
        self._place = place
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
        with self._lock, _refusals(self._place):
            return Key(self._with_secret(lambda secret: secret.sign(context(HSM_LABEL, salt), mechanism=mechanism)))

    def _with_secret(self, use: Callable[[Any], bytes]) -> bytes:
        """Opens a session for one use: an HSM that was away or restarted in between is found again."""
        token = pkcs11.lib(self._place.module).get_token(token_label=self._place.token)
        with token.open(user_pin=self._pin) as session:
            mac = use(session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=self._place.object))
        if len(mac) != KEY_BYTES:
            raise MasterKeyRefusedError(f"the HSM gave {len(mac)} bytes, expected {KEY_BYTES}", provider="pkcs11")
        return mac


def open_key(uri: str, environment: Mapping[str, str]) -> HsmMasterKey:
    """The master key of a URI, as "pkcs11:token=T;object=O?module-path=/path/module.so".

    The PIN comes from the file that `pin-source` names, or from PRIVACYPLEASE_PKCS11_PIN.

    Raises:
        ConfigurationError: The URI lacks a part, or there is no PIN.
    """
    place = parse(uri)
    if place.pin_source:
        return HsmMasterKey(place, secret_from_file(Path(place.pin_source), "pin-source"))
    return HsmMasterKey(place, secret_from_environment(environment, "PRIVACYPLEASE_PKCS11_PIN"))


def parse(uri: str) -> KeyLocation:
    """Reads a URI of RFC 7512, of which it takes `token`, `object`, `module-path` and `pin-source` (a file).

    Raises:
        ConfigurationError: An attribute is missing or unknown. A PIN in the URI is unknown, too.
    """
    path, _, query = uri.removeprefix("pkcs11:").partition("?")
    pairs = [pair.partition("=") for part in (path.split(";"), query.split("&")) for pair in part if pair]
    found = {name: unquote(value) for name, _, value in pairs}
    expected = ("token", "object", "module-path")
    if set(expected) - set(found) or set(found) - {*expected, "pin-source"}:
        raise ConfigurationError(
            "master_key: expected pkcs11:token=…;object=…?module-path=…, with &pin-source=FILE where wanted"
        )
    return KeyLocation(found["module-path"], found["token"], found["object"], found.get("pin-source", ""))


@contextmanager
def _refusals(place: KeyLocation) -> Iterator[None]:
    """PKCS#11's errors as the proxy's."""
    try:
        yield
    except _WRONG_PIN as error:
        raise WrongPassphraseError(f"the PIN does not open the HSM's token {place.token!r}") from error
    except _REFUSED as error:
        message = f"the HSM's token {place.token!r} has no secret {place.object!r} that computes HMAC-SHA256"
        raise MasterKeyRefusedError(f"{message}: {type(error).__name__}", provider="pkcs11") from error
    except (exceptions.PKCS11Error, RuntimeError, OSError) as error:
        message = f"the HSM's token {place.token!r} cannot be reached: {type(error).__name__}"
        raise MasterKeyUnavailableError(message, provider="pkcs11") from error
