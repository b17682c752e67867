"""A feed's API key: read from the environment or a file, and never printed."""

import logging
import os
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, quote_plus

from privacyplease.ingest.errors import SettingsError

__all__ = ["ApiKey"]

# These log requests with their whole URL.
_LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry")


class ApiKey:
    """A key that is part of the URL, as the feed requires. Its repr is masked."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    @classmethod
    def load(cls, variable: str, file: Path | None = None) -> "ApiKey":
        """Reads the key from a file or, if none is given, from the environment.

        Raises:
            SettingsError: If there is none, or it is not a single word.
        """
        if file is None:
            secret, source = os.environ.get(variable, ""), f"the environment variable {variable}, or a key file"
        else:
            secret, source = _read(file), f"the file {file}"
        if not secret.strip().isprintable() or len(secret.split()) != 1:
            raise SettingsError(f"expected an API key in {source}, got {'several words' if secret.strip() else 'none'}")
        return cls(secret.strip())

    def reveal(self) -> str:
        """Gives the key itself."""
        return self._secret

    def hide_in_logs(self) -> None:
        """Keeps the key out of what the HTTP library logs, at any level."""
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._masked)

    def _masked(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        for spelling in {self._secret, quote(self._secret), quote(self._secret, safe=""), quote_plus(self._secret)}:
            text = text.replace(spelling, "***")
        record.msg, record.args = text, ()
        return True

    def __repr__(self) -> str:
        return "ApiKey(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key cannot be pickled")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the key file {file}: {type(error).__name__}") from None
