"""Headers with which a feed knows us: read from a file, and never printed."""

from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from privacyplease.ingest.errors import SettingsError

__all__ = ["SecretHeaders"]

_TOKEN = set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")  # RFC 9110, 5.6.2


class SecretHeaders:
    """Headers for one host. Their repr is masked."""

    def __init__(self, headers: dict[str, str], url: str) -> None:
        self._headers = headers
        self._origin = _origin(url)

    @classmethod
    def load(cls, file: Path, url: str) -> "SecretHeaders":
        """Reads `Name: value` lines; blank ones are skipped.

        Args:
            file: The file.
            url: The feed's own address; the headers are sent to its host alone.

        Raises:
            SettingsError: The file cannot be read, or a line is no header; names the line, not its content. Or the
                address is invalid.
        """
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"cannot read the header file {file}: {type(error).__name__}") from None
        try:
            _origin(url)
        except ValueError:
            raise SettingsError("expected a URL of a feed, got one that is invalid") from None
        headers = {}
        for number, line in enumerate(lines, start=1):
            name, _, value = line.partition(":")
            value = value.strip()
            if not line.strip():
                continue
            if not name or set(name) - _TOKEN or not value or not value.isprintable() or not value.isascii():
                raise SettingsError(f"{file}: expected 'Name: value' in line {number}, got another line")
            headers[name] = value
        if not headers:
            raise SettingsError(f"{file}: expected 'Name: value', such as 'Authorization: Bearer …', got nothing")
        return cls(headers, url)

    def are_for(self, url: str) -> bool:
        """Whether they may be sent to this address: the same scheme, host and port."""
        try:
            return _origin(url) == self._origin
        except ValueError:  # an address that a feed names, and that is none
            return False

    def reveal(self) -> dict[str, str]:
        """The headers themselves."""
        return dict(self._headers)

    def __repr__(self) -> str:
        return "SecretHeaders(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secret headers cannot be pickled")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
