"""SoftHSM2: an HSM in software, with tokens in a folder of the test's.

Its library reads the place of its tokens once in a process, so there is one `SoftHsm` for the whole run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pkcs11

PIN = "871234"
_MODULES: Iterable[str] = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so")


class SoftHsm:
    """Tokens in a folder."""

    def __init__(self, folder: Path) -> None:
        (folder / "tokens").mkdir(parents=True)
        configuration = folder / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = str(configuration)

    def make_key(self, token: str, *objects: str) -> None:
        """Makes a token with a secret for each object, none of which can be taken out."""
        command = ["softhsm2-util", "--init-token", "--free", "--label", token, "--pin", PIN, "--so-pin", PIN]
        subprocess.run(command, check=True, capture_output=True)
        library = pkcs11.lib(module())
        library.reinitialize()  # tokens are looked for when the library starts
        with library.get_token(token_label=token).open(rw=True, user_pin=PIN) as session:
            for name in objects:
                session.generate_key(
                    pkcs11.KeyType.GENERIC_SECRET,
                    256,
                    label=name,
                    store=True,
                    capabilities=pkcs11.MechanismFlag.SIGN,
                    mechanism=pkcs11.Mechanism.GENERIC_SECRET_KEY_GEN,
                    template={pkcs11.Attribute.EXTRACTABLE: False, pkcs11.Attribute.SENSITIVE: True},
                )

    def choice(self, token: str, name: str) -> str:
        """What chooses a secret as the master key."""
        return f"pkcs11:token={token};object={name}?module-path={module()}"


def module() -> str:
    return next((path for path in _MODULES if Path(path).exists()), "")


def installed() -> bool:
    return bool(module()) and shutil.which("softhsm2-util") is not None
