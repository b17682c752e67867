"""What a zone abbreviation means, where that is known.

An abbreviation is not a time zone: `CST` is used in Chicago, Havana and Shanghai. Those with one meaning are in
`OFFSETS`; those known to have several are in `AMBIGUOUS`, and the user must name the time zone. Nothing is guessed.
"""

import re
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from privacyplease.ingest.errors import ZoneError

__all__ = ["AMBIGUOUS", "OFFSETS", "fixed_offset", "zone_named"]


def _hours(**offsets: float) -> dict[str, timedelta]:
    return {name: timedelta(hours=hours) for name, hours in offsets.items()}


# In the IANA time zone database each has this offset and no other since 2000 (a test proves it), before which there was
# no WiFi to log; or it is one of Java's zone names, which Cisco Prime uses (SGT, BRT, ...).
OFFSETS = (
    _hours(UTC=0, UT=0, GMT=0, Z=0)
    | _hours(WET=0, WEST=1, CET=1, CEST=2, EET=2, EEST=3)
    | _hours(WAT=1, CAT=2, SAST=2, EAT=3)
    | _hours(PKT=5, NPT=5.75, ICT=7, WIB=7, WITA=8, HKT=8, MYT=8, PHT=8, SGT=8, JST=9)
    | _hours(AWST=8, ACST=9.5, ACDT=10.5, AEST=10, AEDT=11, CHST=10, NZST=12, NZDT=13)
    | _hours(NDT=-2.5, EDT=-4, MDT=-6, PDT=-7, AKST=-9, AKDT=-8, HST=-10, HDT=-9)
    | _hours(BRT=-3, ART=-3, COT=-5, PET=-5)
)

AMBIGUOUS: dict[str, dict[str, float]] = {
    "ADT": {"America/Halifax": -3, "Asia/Baghdad": 4},
    "AMT": {"America/Manaus": -4, "Asia/Yerevan": 4},
    "AST": {"America/Halifax": -4, "Asia/Riyadh": 3},
    "BST": {"Europe/London": 1, "Asia/Dhaka": 6, "Pacific/Bougainville": 11},
    "CDT": {"America/Chicago": -5, "America/Havana": -4},
    "CIT": {"Asia/Makassar": 8},
    "CST": {"America/Chicago": -6, "America/Havana": -5, "Asia/Shanghai": 8, "Australia/Adelaide": 9.5},
    "ECT": {"America/Guayaquil": -5, "America/Martinique": -4},
    "EIT": {"Asia/Jayapura": 9},
    "EST": {"America/New_York": -5, "Australia/Sydney": 10},
    "GST": {"Asia/Dubai": 4, "Atlantic/South_Georgia": -2},
    "IST": {"Asia/Kolkata": 5.5, "Asia/Jerusalem": 2, "Europe/Dublin": 1},
    "KST": {"Asia/Seoul": 9, "Asia/Pyongyang": 8.5},
    "MSK": {"Europe/Moscow": 3},  # 4 from 2011 to 2014
    "MST": {"America/Denver": -7, "Asia/Kuala_Lumpur": 8, "Asia/Yangon": 6.5},
    "NST": {"America/St_Johns": -3.5, "Pacific/Norfolk": 11},
    "PST": {"America/Los_Angeles": -8, "Asia/Manila": 8},
    "SST": {"Pacific/Pago_Pago": -11, "Asia/Singapore": 8},
    "WIT": {"Asia/Jakarta": 7, "Asia/Jayapura": 9},  # Java's "West Indonesia Time" until 2013, then IANA's eastern one
    "WST": {"Pacific/Apia": 13, "Australia/Perth": 8},
}
"""Abbreviations with several meanings: the zones that use each, with its offset from UTC there in hours."""

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?")


def fixed_offset(token: str) -> timedelta | None:
    """Gives the offset from UTC that a token such as `CEST`, `Z`, `+02:00` or `GMT+2` always has, or None."""
    token = token.upper()
    if match := _OFFSET.fullmatch(token):
        sign, hours, minutes = match.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return (offset if sign == "+" else -offset) if offset < timedelta(days=1) else None
    return OFFSETS.get(token)


def zone_named(name: str) -> tzinfo:
    """Finds a time zone by name.

    Args:
        name: An IANA name such as `Asia/Tokyo`, or an offset such as `+09:00`.

    Raises:
        ZoneError: If it is neither. An abbreviation is neither.
    """
    if _OFFSET.fullmatch(name.upper()) and (offset := fixed_offset(name)) is not None:
        return timezone(offset)
    try:
        return UTC if name.upper() in ("UTC", "Z") else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ZoneError(f"expected a time zone such as 'Europe/Vienna' or '+01:00', got {name!r}") from error
