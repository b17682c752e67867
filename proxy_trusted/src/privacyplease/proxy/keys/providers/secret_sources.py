"""Sources of PINs and tokens: the environment, or a file that the environment names. Never an argument."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from privacyplease.proxy.errors import ConfigurationError


def secret_from_environment(environment: Mapping[str, str], *names: str) -> str:
    """The first secret that is set: the value of NAME, or the content of the file that NAME_FILE names.

    Raises:
        ConfigurationError: None is set, or the file cannot be read.
    """
    for name in names:
        if value := environment.get(name):
            return value
        if file := environment.get(f"{name}_FILE"):
            return secret_from_file(Path(file), f"{name}_FILE")
    expected = " or ".join(name for plain in names for name in (plain, f"{plain}_FILE"))
    raise ConfigurationError(f"master_key: expected {expected} in the environment")


def secret_from_file(file: Path, named_by: str) -> str:
    """The secret in a file.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{named_by}: {file} cannot be read") from error
