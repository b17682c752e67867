"""The key to a feed: from the environment or a file, and in nothing that is printed."""

import logging
import os
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, quote_plus

from privacyplease.ingest.stream_errors import SettingsError

__all__ = ["ApiKey"]

# Those that write requests with their whole address.
_LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry")


class ApiKey:
    """A key that is a part of the address, because the feed wants it there. Its repr is masked."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    @classmethod
    def load(cls, variable: str, file: Path | None = None) -> "ApiKey":
        """Takes the key from a file or, where none is given, from the environment.

        Raises:
            SettingsError: If there is none, or it is no word.
        """
        if file is None:
            secret, source = os.environ.get(variable, ""), f"the environment variable {variable}, or a key file"
        else:
            secret, source = _read(file), f"the file {file}"
        if not secret.strip().isprintable() or len(secret.split()) != 1:
            raise SettingsError(f"expected an API key in {source}, got {'none' if not secret.strip() else 'no word'}")
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
        for form in {self._secret, quote(self._secret), quote(self._secret, safe=""), quote_plus(self._secret)}:
            text = text.replace(form, "***")
        record.msg, record.args = text, ()
        return True

    def __repr__(self) -> str:
        return "ApiKey(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key does not pickle")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the key file {file}: {type(error).__name__}") from None
