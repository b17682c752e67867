"""From the text that chooses a provider to a master key that has shown that it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from privacyplease.proxy.errors import ConfigurationError, KeyUnavailableError, MasterKeyRefusedError
from privacyplease.proxy.keys.derivation import Key, context
from privacyplease.proxy.keys.master_key import MasterKey

PASSPHRASE = "passphrase"  # noqa: S105  # the provider's name

_PROBE_LABEL = b"privacyplease/v1/probe"

# Module and extra. A module is imported only where its provider is chosen: its library may not be installed.
_PROVIDERS = {"pkcs11": ("pkcs11", "pkcs11"), "vault": ("vault", "vault"), "aws-kms": ("aws_kms", "aws")}


def open_master_key(choice: str, environment: Mapping[str, str]) -> MasterKey:
    """Opens a master key that somebody else holds, and tries it once.

    Args:
        choice: The text, as "vault:https://host:8200/transit/keys/NAME".
        environment: Where PINs and tokens come from.

    Raises:
        ConfigurationError: The text is wrong, or the provider's library is not installed.
        KeyringError: Whoever holds the key does not answer or refuses.
    """
    scheme = choice.partition(":")[0]
    if scheme not in _PROVIDERS:
        known = ", ".join([PASSPHRASE, *(f"{name}:…" for name in _PROVIDERS)])
        raise ConfigurationError(f"master_key: expected one of {known}, got {scheme!r}")
    master = _opener(scheme)(choice, environment)
    check(master)
    return master


def check(master: MasterKey) -> None:
    """Wraps and unwraps a key made for it, so that a key that may no longer be used is found before a question is.

    Raises:
        KeyringError: It cannot do both.
    """
    probe, associated = Key.generate(), context(_PROBE_LABEL)
    try:
        opened = master.unwrap(master.wrap(probe, associated), associated)
    except KeyUnavailableError as error:
        raise MasterKeyRefusedError("the master key does not open what it has just wrapped") from error
    if opened != probe:
        raise MasterKeyRefusedError("the master key opens what it wrapped as something else")


def _opener(scheme: str) -> Callable[[str, Mapping[str, str]], MasterKey]:
    module, extra = _PROVIDERS[scheme]
    try:
        opener: Callable[[str, Mapping[str, str]], MasterKey] = import_module(
            f"privacyplease.proxy.keys.providers.{module}"
        ).open_key
    except ImportError as error:
        hint = f"pip install 'privacyplease-proxy[{extra}]'"
        raise ConfigurationError(f"master_key: {scheme} needs a library that is not installed: {hint}") from error
    return opener
