"""The devices of a simulated campus: whose they are, where their home is, and how a log describes them."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.ingest.simulate.campus import CampusMap, Purpose

__all__ = ["DeviceKind", "Devices"]


class DeviceKind(IntEnum):
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

# Vendors and protocols, one for each tenth of the devices. Many vendors are unknown: phones randomise their addresses.
_VENDORS = ("Unknown",) * 4 + ("Apple,Inc",) * 2 + ("Samsung Electronics", "Intel Corporate", "Google, Inc.", "Xiaomi")
_PROTOCOLS = ("802.11ac",) * 5 + ("802.11ax(5GHz)",) * 3 + ("802.11n(2.4GHz)", "802.11n(5GHz)")
_THINGS = ("Espressif Inc.", "HP Inc.", "Axis Communications")


@dataclass(frozen=True)
class Devices:
    """n devices.

    Attributes:
        kind: int64[n], the `DeviceKind` of each.
        home: int64[n], the place where it is when it is not elsewhere.
        model: int64[n], 0 to 9: which of the usual vendors and protocols it has.
        mac: uint64[n], its address, in the lower 48 bits.
    """

    kind: npt.NDArray[np.int64]
    home: npt.NDArray[np.int64]
    model: npt.NDArray[np.int64]
    mac: npt.NDArray[np.uint64]

    @classmethod
    def generate(cls, count: int, campus: CampusMap, rng: np.random.Generator) -> Self:
        """Generates this many devices, each with a home on the campus."""
        kind = rng.choice(len(DeviceKind), count, p=_SHARES)
        home = np.select(
            [kind == value for value in DeviceKind], [campus.draw(purpose, count, rng) for purpose in _HOMES]
        )
        return cls(kind, home, rng.integers(10, size=count), _addresses(count, rng))

    def __len__(self) -> int:
        return len(self.kind)

    def columns(self) -> dict[str, pa.StringArray]:
        """The columns of a log that describe each device: string[n] by name."""
        ssid, profile, vlan, policy = (pa.array(values).take(self.kind) for values in zip(*_NETWORKS, strict=True))
        thing = self.kind == DeviceKind.THING
        vendors = np.where(thing, len(_VENDORS) + self.model % len(_THINGS), self.model)
        return {
            "client_ip": _ips(len(self)),
            "client_mac": _formatted(self.mac),
            "vendor": pa.array(_VENDORS + _THINGS).take(vendors),
            "device_name": pa.array([None, "thing"]).take(thing.astype(np.int8)),
            "ssid": ssid,
            "profile": profile,
            "vlan_id": vlan,
            "protocol": pa.array((*_PROTOCOLS, "802.11n(2.4GHz)")).take(np.where(thing, len(_PROTOCOLS), self.model)),
            "policy_type": policy,
        }


def _ips(count: int) -> pa.StringArray:
    return pa.array([f"10.{each >> 16 & 255}.{each >> 8 & 255}.{each & 255}" for each in range(1, count + 1)])


def _addresses(count: int, rng: np.random.Generator) -> npt.NDArray[np.uint64]:
    """Generates distinct locally administered unicast addresses (IEEE 802, 8.4): the second hex digit is 2, 6, a or e.

    46 bits are free. Multiplication by an odd number permutes them, so no two devices get the same address.
    """
    factor, shift = rng.integers(1 << 46, size=2, dtype=np.uint64)
    bits = np.arange(count, dtype=np.uint64) * (factor | np.uint64(1)) + shift
    upper, lower = bits >> np.uint64(40) & np.uint64(0x3F), bits & np.uint64((1 << 40) - 1)
    return np.asarray((upper << np.uint64(2) | np.uint64(0b10)) << np.uint64(40) | lower)


def _formatted(addresses: npt.NDArray[np.uint64]) -> pa.StringArray:
    digits = addresses.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:].tobytes().hex(":")
    return pa.array([digits[start : start + 17] for start in range(0, len(digits), 18)])
