"""The target of a load test: the address of the proxy, and the devices, places and days that users can ask about."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path


@dataclass(frozen=True)
class LoadTarget:
    """An installation with data.

    Attributes:
        proxy: The proxy's host:port.
        certificates: The folder of the client certificate.
        devices: MAC addresses of devices that have sessions.
        places: Access points that have sessions.
        start: The beginning of the first day of sessions.
        days: How many days of sessions there are.
    """

    proxy: str
    certificates: Path
    devices: list[str]
    places: list[str]
    start: datetime
    days: int

    @property
    def end(self) -> datetime:
        """The end of the last day."""
        return self.start + timedelta(days=self.days)

    def write(self, file: Path) -> None:
        """Writes it to a file, for another process."""
        file.write_text(json.dumps(asdict(self), default=str))

    @classmethod
    def read(cls, file: Path) -> LoadTarget:
        """Reads a file that `write` wrote."""
        fields = json.loads(file.read_text())
        start = datetime.fromisoformat(fields.pop("start"))
        return cls(certificates=Path(fields.pop("certificates")), start=start, **fields)
