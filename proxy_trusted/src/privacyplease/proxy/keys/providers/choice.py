"""Opens the master key that a text chooses, and checks that it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType

from privacyplease.proxy.errors import ConfigurationError, KeyUnavailableError, MasterKeyRefusedError
from privacyplease.proxy.keys.derivation import Key, context
from privacyplease.proxy.keys.epoch_keys import EpochKeyHolder
from privacyplease.proxy.keys.master_key import MasterKey

PASSPHRASE = "passphrase"  # noqa: S105  # the provider's name

_PROBE_LABEL = b"privacyplease/v1/probe"

# Module and extra. A module is imported only where its provider is chosen: its library may not be installed.
_PROVIDERS = {"pkcs11": ("pkcs11", "pkcs11"), "vault": ("vault", "vault"), "aws-kms": ("aws_kms", "aws")}

# Those that can hold, and destroy, a key for each epoch.
_HOLDERS = {"pkcs11", "vault"}


def open_master_key(choice: str, environment: Mapping[str, str]) -> MasterKey:
    """Opens a master key that an HSM, a vault or a KMS holds, and checks it once.

    Args:
        choice: The text, as "vault:https://host:8200/transit/keys/NAME".
        environment: Where PINs and tokens come from.

    Raises:
        ConfigurationError: The text is wrong, or the provider's library is not installed.
        KeyringError: The holder of the key does not answer, or refuses.
    """
    scheme = choice.partition(":")[0]
    if scheme not in _PROVIDERS:
        known = ", ".join([PASSPHRASE, *(f"{name}:…" for name in _PROVIDERS)])
        raise ConfigurationError(f"master_key: expected one of {known}, got {scheme!r}")
    master = _opener(scheme)(choice, environment)
    check(master)
    return master


def open_epoch_keys(choice: str, environment: Mapping[str, str]) -> EpochKeyHolder | None:
    """Opens the key-encryption keys that the holder of a master key holds; None if it holds none.

    Args:
        choice: As in `open_master_key`.
        environment: Where PINs and tokens come from.

    Raises:
        ConfigurationError: As in `open_master_key`.
        KeyringError: The holder does not answer, or refuses.
    """
    scheme = choice.partition(":")[0]
    if scheme not in _HOLDERS:
        return None
    opener: Callable[[str, Mapping[str, str]], EpochKeyHolder] = _module(scheme).open_epoch_keys
    return opener(choice, environment)


def check(master: MasterKey) -> None:
    """Wraps and unwraps a probe, so that a master key that cannot be used any more is found before the first question.

    Raises:
        KeyringError: The master key cannot do both.
    """
    probe, associated = Key.generate(), context(_PROBE_LABEL)
    try:
        opened = master.unwrap(master.wrap(probe, associated), associated)
    except KeyUnavailableError as error:
        raise MasterKeyRefusedError("the master key does not open what it has just wrapped") from error
    if opened != probe:
        raise MasterKeyRefusedError("the master key opens what it has just wrapped to something else")


def _opener(scheme: str) -> Callable[[str, Mapping[str, str]], MasterKey]:
    opener: Callable[[str, Mapping[str, str]], MasterKey] = _module(scheme).open_key
    return opener


def _module(scheme: str) -> ModuleType:
    module, extra = _PROVIDERS[scheme]
    try:
        return import_module(f"privacyplease.proxy.keys.providers.{module}")
    except ImportError as error:
        hint = f"pip install 'privacyplease-proxy[{extra}]'"
        raise ConfigurationError(f"master_key: {scheme} needs a library that is not installed: {hint}") from error
