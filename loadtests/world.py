"""What the users of a load test have to know: where the proxy is, and of what it can be asked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path


@dataclass(frozen=True)
class World:
    """An installation with data.

    Attributes:
        proxy: The proxy's host:port.
        certificates: Folder of the certificate to show it.
        devices: MAC addresses of which there are sessions.
        places: Access points.
        start: When the first session begins.
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
        """When the last day ends."""
        return self.start + timedelta(days=self.days)

    def write(self, file: Path) -> None:
        """Writes it for another process."""
        file.write_text(json.dumps(asdict(self), default=str))

    @classmethod
    def read(cls, file: Path) -> World:
        """Reads what `write` wrote."""
        found = json.loads(file.read_text())
        start = datetime.fromisoformat(found.pop("start"))
        return cls(certificates=Path(found.pop("certificates")), start=start, **found)
