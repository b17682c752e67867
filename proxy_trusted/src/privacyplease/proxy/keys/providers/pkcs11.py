"""A master key inside an HSM: PKCS#11 v2.40, named by a URI (RFC 7512).

The HSM holds a generic secret that never leaves it and is used only for HMAC-SHA256. Each wrapping draws a salt, has
the HSM compute a key from it, and seals the data key here under that key:

::

    wrap key = HMAC-SHA256(secret in the HSM, label ‖ salt)
    wrapped  = salt (32) ‖ AES-256-GCM(wrap key, data key, associated data)

HMAC being a PRF, wrap keys are independent and random, and without the HSM none can be computed. AES-GCM is not done in
the HSM, because HSMs differ in who chooses the nonce and some ignore the associated data, while all of them have this
HMAC; and AES-KW (RFC 3394) binds no associated data at all.

The HSM also holds a key-encryption key for each data key: a generic secret of its own in the same token, labelled with
the master key's label, "-" and 32 hexadecimal digits. The user must be allowed to create and destroy such objects.
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

_NAME_BYTES = 16

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
    """A master key that an HSM holds. Safe to use from many threads.

    Attributes:
        location: Where the HSM's secret is found.
    """

    def __init__(self, location: KeyLocation, pin: str, lock: threading.Lock | None = None) -> None:
        self.location = location
        self._pin = pin
        self._lock = lock or threading.Lock()

    def wrap(self, key: Key, associated: bytes) -> bytes:
        """See `MasterKey.wrap`."""
        salt = secrets.token_bytes(SALT_BYTES)
        return salt + LocalMasterKey(self._wrap_key(salt)).wrap(key, associated)

    def unwrap(self, wrapped: bytes, associated: bytes) -> Key:
        """See `MasterKey.unwrap`."""
        wrap_key = self._wrap_key(wrapped[:SALT_BYTES])
        return LocalMasterKey(wrap_key).unwrap(wrapped[SALT_BYTES:], associated)

    def beside(self, label: str) -> HsmMasterKey:
        """Another secret of the same token."""
        return HsmMasterKey(self.location._replace(object=label), self._pin, self._lock)

    def make(self) -> None:
        """Has the HSM generate the secret, which never leaves it.

        Raises:
            KeyringError: The HSM does not answer, or refuses.
        """
        with self._lock, _refusals(self.location), self._session(rw=True) as session:
            session.generate_key(
                pkcs11.KeyType.GENERIC_SECRET,
                KEY_BYTES * 8,
                label=self.location.object,
                store=True,
                capabilities=pkcs11.MechanismFlag.SIGN,
                mechanism=pkcs11.Mechanism.GENERIC_SECRET_KEY_GEN,
                template={pkcs11.Attribute.EXTRACTABLE: False, pkcs11.Attribute.SENSITIVE: True},
            )

    def exists(self) -> bool:
        """Whether the token has the secret.

        Raises:
            KeyringError: The HSM does not answer, or refuses.
        """
        with self._lock, _refusals(self.location), self._session() as session:
            return bool(list(self._found(session)))

    def destroy(self) -> None:
        """Has the HSM destroy the secret, if it has it.

        Raises:
            KeyringError: The HSM does not answer, or refuses.
        """
        with self._lock, _refusals(self.location), self._session(rw=True) as session:
            for found in list(self._found(session)):
                found.destroy()

    def _wrap_key(self, salt: bytes) -> Key:
        mechanism = pkcs11.Mechanism.SHA256_HMAC
        with self._lock, _refusals(self.location):
            return Key(self._with_secret(lambda secret: secret.sign(context(HSM_LABEL, salt), mechanism=mechanism)))

    def _session(self, *, rw: bool = False) -> Any:  # noqa: ANN401  # the library has no types
        """Opens a session for each use, so that an HSM that was restarted in between is found again."""
        token = pkcs11.lib(self.location.module).get_token(token_label=self.location.token)
        return token.open(rw=rw, user_pin=self._pin)

    def _found(self, session: Any) -> Iterator[Any]:  # noqa: ANN401  # the library has no types
        attributes = {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
            pkcs11.Attribute.LABEL: self.location.object,
        }
        found: Iterator[Any] = session.get_objects(attributes)
        return found

    def _with_secret(self, use: Callable[[Any], bytes]) -> bytes:
        with self._session() as session:
            mac = use(session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=self.location.object))
        if len(mac) != KEY_BYTES:
            message = f"expected {KEY_BYTES} bytes from the HSM, got {len(mac)}"
            raise MasterKeyRefusedError(message, provider="pkcs11")
        return mac


class HsmEpochKeys:
    """Key-encryption keys that an HSM holds, beside the master key. Safe to use from many threads."""

    def __init__(self, place: str, master: HsmMasterKey) -> None:
        self._place = place
        self._master = master

    @property
    def place(self) -> str:
        """See `EpochKeyHolder.place`."""
        return self._place

    def make(self) -> str:
        """See `EpochKeyHolder.make`."""
        name = f"{self._master.location.object}-{secrets.token_hex(_NAME_BYTES)}"
        self.key(name).make()
        return name

    def key(self, name: str) -> HsmMasterKey:
        """See `EpochKeyHolder.key`."""
        return self._master.beside(name)

    def exists(self, name: str) -> bool:
        """See `EpochKeyHolder.exists`."""
        return self.key(name).exists()

    def destroy(self, name: str) -> None:
        """See `EpochKeyHolder.destroy`."""
        if not self._master.exists():
            raise MasterKeyUnavailableError("the HSM's token does not have the master key", provider="pkcs11")
        self.key(name).destroy()
        if self.exists(name):
            raise MasterKeyRefusedError("the HSM still has a secret that it was told to destroy", provider="pkcs11")


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


def open_epoch_keys(uri: str, environment: Mapping[str, str]) -> HsmEpochKeys:
    """The key-encryption keys beside the master key of a URI.

    Raises:
        ProxyError: As `open_key`.
    """
    return HsmEpochKeys(uri, open_key(uri, environment))


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
