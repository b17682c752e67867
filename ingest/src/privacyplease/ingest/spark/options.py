"""The options of the data source.

>>> options = SinkOptions.read({"proxy": "proxy:50051", "dataset": "wifi", "insecure": "true", "durationunit": "MS"})
>>> options.duration_unit
<DurationUnit.MILLISECONDS: 'ms'>
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from privacyplease.ingest.errors import SettingsError
from privacyplease.ingest.wifi.zones import zone_named

__all__ = ["BadRecords", "DurationUnit", "SinkOptions"]


class BadRecords(StrEnum):
    """What becomes of records that cannot be ingested."""

    FAIL = "fail"
    DEAD_LETTER = "deadLetter"


class DurationUnit(StrEnum):
    """The unit of durations that are plain numbers."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    NANOSECONDS = "ns"


_NAMES = {
    "proxy": "proxy",
    "dataset": "dataset",
    "certificates": "certificates",
    "insecure": "insecure",
    "timezone": "timezone",
    "durationUnit": "duration_unit",
    "badRecords": "bad_records",
    "deadLetter.bootstrap": "dead_letter_bootstrap",
    "deadLetter.config": "dead_letter_config",
    "deadLetter.topic": "dead_letter_topic",
    "retry": "retry_s",
}
# Spark compares names of options without case, and passes them on in lower case.
_FIELDS = {name.lower(): field for name, field in _NAMES.items()}
# Options of a query that Spark passes on to its sink.
_SPARKS_OWN = frozenset({"checkpointlocation"})

_FOREVER = "forever"

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True)
class SinkOptions:
    """Where records are sent, and how.

    Attributes:
        proxy: The proxy's HOST:PORT.
        dataset: The data set that the records belong to.
        certificates: The folder of the client's certificate, the same on the driver and on every executor; "" for
            plaintext.
        timezone: The time zone of times that do not name theirs; "" if there is none.
        duration_unit: The unit of durations that are plain numbers; None if there are none.
        bad_records: What becomes of records that cannot be ingested.
        dead_letter_bootstrap: Some brokers of the Kafka that gets the dead letters.
        dead_letter_config: A file with more settings for Kafka's client, the same on every executor; "" for none.
        dead_letter_topic: The topic whose dead letter topic is used; "" for the topic that a message is from.
        retry_s: How long to try again while the proxy or the dead letter topic is unavailable, in seconds.
    """

    proxy: str
    dataset: str
    certificates: str = ""
    timezone: str = ""
    duration_unit: DurationUnit | None = None
    bad_records: BadRecords = BadRecords.FAIL
    dead_letter_bootstrap: str = ""
    dead_letter_config: str = ""
    dead_letter_topic: str = ""
    retry_s: float = 60.0

    @classmethod
    def read(cls, options: Mapping[str, str]) -> SinkOptions:
        """Reads options as Spark passes them, whatever the case of their names.

        Raises:
            SettingsError: An option is unknown, missing, or has a value that it cannot have.
        """
        given = {name.lower(): value for name, value in options.items()}
        if unknown := sorted(given.keys() - _FIELDS.keys() - _SPARKS_OWN):
            raise SettingsError(f"expected the options {', '.join(_NAMES)}; got {unknown[0]!r}")
        values: dict[str, Any] = {_FIELDS[name]: value for name, value in given.items() if name in _FIELDS}
        insecure = _boolean("insecure", values.pop("insecure", "false"))
        for name in ("proxy", "dataset"):
            if not values.get(name):
                raise SettingsError(f"expected the option {name}, got none")
        if insecure == bool(values.get("certificates")):
            raise SettingsError("expected either the option certificates, a folder on each executor, or insecure=true")
        return cls(
            duration_unit=_member(DurationUnit, "durationUnit", values.pop("duration_unit", None)),
            bad_records=_member(BadRecords, "badRecords", values.pop("bad_records", None)) or BadRecords.FAIL,
            retry_s=_seconds(values.pop("retry_s", "60")),
            **values,
        )._checked()

    def _checked(self) -> SinkOptions:
        if self.timezone:
            zone_named(self.timezone)
        dead_letters = bool(self.dead_letter_bootstrap)
        if dead_letters is not (self.bad_records is BadRecords.DEAD_LETTER):
            raise SettingsError("expected badRecords=deadLetter and deadLetter.bootstrap together, got one of them")
        return self


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise SettingsError(f"expected {name}=true or {name}=false, got {text!r}")
    return text.lower() == "true"


def _seconds(text: str) -> float:
    if text.lower() == _FOREVER:
        return math.inf
    if not text.isdecimal():
        raise SettingsError(f"expected retry to be whole seconds or {_FOREVER!r}, got {text!r}")
    return float(text)


def _member(kind: type[_Choice], name: str, text: str | None) -> _Choice | None:
    if text is None:
        return None
    for choice in kind:
        if choice.lower() == text.lower():
            return choice
    raise SettingsError(f"expected {name} to be one of {', '.join(kind)}; got {text!r}")
