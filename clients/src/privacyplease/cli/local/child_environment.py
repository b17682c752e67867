"""Which environment variables a process that the command line starts gets, and how: none that it does not need.

The storage server is not trusted with the secrets of the proxy. What is more than a process's surroundings goes through
a pipe, where `/proc` does not show it (`privacyplease.transport.environment`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from privacyplease.transport.environment import DESCRIPTOR, encode

_SURROUNDINGS = (
    *("PATH", "HOME", "TMPDIR", "LANG", "LANGUAGE", "LC_*", "TZ"),
    *("LD_LIBRARY_PATH", "PYTHON*", "GRPC_*", "SSL_*"),
)

# Of the libraries with which the proxy reaches a vault or KMS.
_WEB = tuple(
    spelling
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "GRPC_PROXY", "NO_GRPC_PROXY")
    for spelling in (name, name.lower())
)
_MASTER_KEY = (
    *("PRIVACYPLEASE_PASSPHRASE", "PRIVACYPLEASE_PKCS11_PIN", "PRIVACYPLEASE_PKCS11_PIN_FILE", "SOFTHSM2_CONF"),
    *("VAULT_TOKEN", "VAULT_TOKEN_FILE", "BAO_TOKEN", "BAO_TOKEN_FILE", "AWS_*"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", *_WEB),
)
_TRUSTED_STORE = "PRIVACYPLEASE_TRUSTED_STORE"
_EPOCH_KEYS = "PRIVACYPLEASE_EPOCH_KEYS"

# docs/KEYS.md has this as a table.
_DOCUMENTED = {
    "privacyplease.server": ("PRIVACYPLEASE_STORAGE",),
    "privacyplease.proxy": (*_MASTER_KEY, _TRUSTED_STORE, _EPOCH_KEYS, "PRIVACYPLEASE_WITNESSES"),
    "privacyplease.proxy.audit": (*_MASTER_KEY, _TRUSTED_STORE),
    "privacyplease.proxy.backup": (_TRUSTED_STORE,),
    "privacyplease.proxy.certificates": (),
}


@dataclass(frozen=True)
class ChildEnvironment:
    """The environment of one process.

    Attributes:
        visible: Its environment when it starts, as `/proc` shows it.
        piped: The bytes to write to its standard input: the other variables.
    """

    visible: Mapping[str, str]
    piped: bytes


def child_environment(module: str, ours: Mapping[str, str], given: Mapping[str, str] | None = None) -> ChildEnvironment:
    """What a module gets of `ours`, the variables of this process.

    Args:
        module: The module that the process runs, such as "privacyplease.server".
        ours: Our variables.
        given: Variables to set whatever ours are.

    Raises:
        KeyError: It is not a module that the command line starts.
    """
    documented = {**_matching(ours, _DOCUMENTED[module]), **(given or {})}
    return ChildEnvironment({**_matching(ours, _SURROUNDINGS), DESCRIPTOR: "0"}, encode(documented))


def _matching(variables: Mapping[str, str], patterns: Iterable[str]) -> dict[str, str]:
    patterns = tuple(patterns)
    return {name: value for name, value in variables.items() if any(fnmatchcase(name, each) for each in patterns)}
