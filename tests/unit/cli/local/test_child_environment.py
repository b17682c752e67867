"""What a process that the command line starts gets of its environment."""

from __future__ import annotations

import pytest

from privacyplease.cli.local.child_environment import child_environment

SURROUNDINGS = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONPATH": "/lib",
    "GRPC_VERBOSITY": "NONE",
    "SSL_CERT_FILE": "/ca.pem",
}
MASTER_KEY = {
    "PRIVACYPLEASE_PASSPHRASE": "p",
    "PRIVACYPLEASE_PKCS11_PIN": "1234",
    "VAULT_TOKEN": "t",
    "AWS_SECRET_ACCESS_KEY": "k",
    "https_proxy": "http://me:secret@proxy",
}
STORES = {"PRIVACYPLEASE_TRUSTED_STORE": "mysql://me:secret@db", "PRIVACYPLEASE_STORAGE": "mysql://me:secret@db"}
OTHERS = {"JCDECAUX_API_KEY": "j", "PRIVACYPLEASE_NEW_PASSPHRASE": "n", "GITHUB_TOKEN": "g", "XPATH": "x"}


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("privacyplease.server", {"PRIVACYPLEASE_STORAGE"}),
        ("privacyplease.proxy", {*MASTER_KEY, "PRIVACYPLEASE_TRUSTED_STORE"}),
        ("privacyplease.proxy.audit", {*MASTER_KEY, "PRIVACYPLEASE_TRUSTED_STORE"}),
        ("privacyplease.proxy.backup", {"PRIVACYPLEASE_TRUSTED_STORE"}),
        ("privacyplease.proxy.certificates", set()),
    ],
)
def test_a_process_gets_the_variables_that_it_documents_through_the_pipe(module: str, expected: set[str]) -> None:
    environment = child_environment(module, {**SURROUNDINGS, **MASTER_KEY, **STORES, **OTHERS})
    assert dict(environment.visible) == {**SURROUNDINGS, "PRIVACYPLEASE_ENVIRONMENT_FD": "0"}
    assert {entry.partition(b"=")[0].decode() for entry in environment.piped.split(b"\0")[:-1]} == expected


def test_what_is_given_replaces_what_we_have() -> None:
    environment = child_environment("privacyplease.server", STORES, {"PRIVACYPLEASE_STORAGE": "sqlite:///a"})
    assert environment.piped == b"PRIVACYPLEASE_STORAGE=sqlite:///a\0"


def test_a_module_that_is_not_listed_gets_nothing() -> None:
    with pytest.raises(KeyError):
        child_environment("privacyplease.other", SURROUNDINGS)
