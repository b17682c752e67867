"""The devices of a simulated campus: whose they are, where they are at home, and what a log says of them."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.ingest.simulate.campus import Campus, Purpose

__all__ = ["Devices", "Kind"]


class Kind(IntEnum):
    """Whose device it is."""

    STUDENT = 0
    STAFF = 1
    VISITOR = 2
    THING = 3  # a printer, a sensor, a screen: always there


_SHARES = (0.60, 0.17, 0.13, 0.10)
_HOMES = (Purpose.DORMITORY, Purpose.OFFICES, None, None)

# For each kind: network, profile, VLAN, policy.
_NETWORKS = (
    ("eduroam", "campus-8021x", "110", "WPA2"),
    ("eduroam", "campus-8021x", "120", "WPA2"),
    ("campus-guest", "guest-portal", "200", "Not Supported"),
    ("campus-things", "things-psk", "300", "WPA2"),
)

# Vendors and protocols, for each tenth of the devices. Many vendors are unknown: phones hide their real addresses.
_VENDORS = ("Unknown",) * 4 + ("Apple,Inc",) * 2 + ("Samsung Electronics", "Intel Corporate", "Google, Inc.", "Xiaomi")
_PROTOCOLS = ("802.11ac",) * 5 + ("802.11ax(5GHz)",) * 3 + ("802.11n(2.4GHz)", "802.11n(5GHz)")
_THINGS = ("Espressif Inc.", "HP Inc.", "Axis Communications")


@dataclass(frozen=True)
class Devices:
    """n devices.

    Attributes:
        kind: int64[n], the `Kind` of each.
        home: int64[n], the place where it is when it is not elsewhere.
        look: int64[n], 0 to 9: which of the usual vendors and protocols it has.
        mac: uint64[n], its address, in the lower 48 bits.
    """

    kind: npt.NDArray[np.int64]
    home: npt.NDArray[np.int64]
    look: npt.NDArray[np.int64]
    mac: npt.NDArray[np.uint64]

    @classmethod
    def born(cls, count: int, campus: Campus, rng: np.random.Generator) -> Self:
        """Makes so many devices and gives each a home on the campus."""
        kind = rng.choice(len(Kind), count, p=_SHARES)
        home = np.select([kind == each for each in Kind], [campus.draw(purpose, count, rng) for purpose in _HOMES])
        return cls(kind, home, rng.integers(10, size=count), _addresses(count, rng))

    def __len__(self) -> int:
        return len(self.kind)

    def columns(self) -> dict[str, pa.StringArray]:
        """What a log says of each device: string[n] by column."""
        ssid, profile, vlan, policy = (pa.array(values).take(self.kind) for values in zip(*_NETWORKS, strict=True))
        thing = self.kind == Kind.THING
        vendors = np.where(thing, len(_VENDORS) + self.look % len(_THINGS), self.look)
        return {
            "client_ip": _ips(len(self)),
            "client_mac": _spelled(self.mac),
            "vendor": pa.array(_VENDORS + _THINGS).take(vendors),
            "device_name": pa.array([None, "thing"]).take(thing.astype(np.int8)),
            "ssid": ssid,
            "profile": profile,
            "vlan_id": vlan,
            "protocol": pa.array((*_PROTOCOLS, "802.11n(2.4GHz)")).take(np.where(thing, len(_PROTOCOLS), self.look)),
            "policy_type": policy,
        }


def _ips(count: int) -> pa.StringArray:
    return pa.array([f"10.{each >> 16 & 255}.{each >> 8 & 255}.{each & 255}" for each in range(1, count + 1)])


def _addresses(count: int, rng: np.random.Generator) -> npt.NDArray[np.uint64]:
    """Makes distinct locally administered unicast addresses (IEEE 802, 8.4): their second hex digit is 2, 6, a or e.

    46 bits are free. To multiply by an odd number permutes them, so no two devices get the same.
    """
    factor, shift = rng.integers(1 << 46, size=2, dtype=np.uint64)
    bits = np.arange(count, dtype=np.uint64) * (factor | np.uint64(1)) + shift
    upper, lower = bits >> np.uint64(40) & np.uint64(0x3F), bits & np.uint64((1 << 40) - 1)
    return np.asarray((upper << np.uint64(2) | np.uint64(0b10)) << np.uint64(40) | lower)


def _spelled(addresses: npt.NDArray[np.uint64]) -> pa.StringArray:
    digits = addresses.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:].tobytes().hex(":")
    return pa.array([digits[start : start + 17] for start in range(0, len(digits), 18)])
