r"""The policy as its file describes it: a TOML table for each identity. See `docs/POLICY.md`.

>>> policy = parse('[clients.alice]\nroles = ["count"]', {})
>>> policy.of("alice").roles
frozenset({<Role.COUNT: 'count'>})
>>> policy.of("mallory").roles
frozenset()
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from privacyplease.proxy.documents import from_toml
from privacyplease.proxy.edge.identity import client_uri
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.records.columns import ColumnType, read_one, show_one
from privacyplease.proxy.records.dataset import Dataset, width

EVERYBODY = "*"
MOST_CALLS_PER_MINUTE = 1_000_000
DEFAULT_CALLS_PER_MINUTE = 6_000  # a hundred a second: no person or dashboard asks as often
MOST_BATCHES_PER_SECOND = 10_000
MOST_CELLS = 1_000_000_000
DEFAULT_CELLS_PER_MINUTE = 6_000_000  # a thousand for each call of the default rate

_FINGERPRINT = re.compile("[0-9a-f]{64}")

T = TypeVar("T")


class Role(StrEnum):
    """A kind of call that an identity may make."""

    INGEST = "ingest"
    COUNT = "count"
    PRESENCE = "presence"
    SELF = "self"
    STATIONS = "stations"
    ADMIN = "admin"
    KEYS = "keys"
    AUDIT = "audit"
    APPROVER = "approver"


@dataclass(frozen=True)
class Grant:
    """What one identity may ask.

    Attributes:
        roles: Its roles; without one it may ask nothing.
        datasets: The data sets that it may ask about; None for all.
        devices: MAC addresses of its own devices, in canonical notation.
        purposes: The purposes that it may state; None for any text.
        longest_interval: The longest interval that it may ask about, in ms; None for no limit.
        calls_per_minute: How many calls it may make in the long run; None for no limit.
        burst: How many calls it may make at once.
        cells_per_minute: How many cells its questions may touch in the long run.
        batches_per_second: How many batches of records it may send; None for no limit.
        may_act_for: The users on whose behalf it may ask; `EVERYBODY` for all who have an entry.
    """

    roles: frozenset[Role] = frozenset()
    datasets: frozenset[str] | None = None
    devices: frozenset[str] = frozenset()
    purposes: frozenset[str] | None = None
    longest_interval: int | None = None
    calls_per_minute: int | None = None
    burst: int = 0
    cells_per_minute: int = DEFAULT_CELLS_PER_MINUTE
    batches_per_second: int | None = None
    may_act_for: frozenset[str] = frozenset()

    def acts_for(self, name: str) -> bool:
        """Whether it may ask on behalf of a user."""
        return name in self.may_act_for or EVERYBODY in self.may_act_for

    def on_behalf_of(self, user: Grant) -> Grant:
        """What it may ask on behalf of a user: what both may. The devices are the user's, the rates its own."""
        longest = [limit for limit in (self.longest_interval, user.longest_interval) if limit is not None]
        return replace(
            self,
            roles=self.roles & user.roles,
            datasets=_both(self.datasets, user.datasets),
            devices=user.devices,
            purposes=_both(self.purposes, user.purposes),
            longest_interval=min(longest, default=None),
        )


NOTHING = Grant()


@dataclass(frozen=True)
class Revoked:
    """Who is shut out, before their certificates expire.

    Attributes:
        names: Names in certificates, whichever these are.
        certificates: SHA-256 fingerprints of single certificates (`edge.identity.fingerprint`).
    """

    names: frozenset[str] = frozenset()
    certificates: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Policy:
    """Who may ask what.

    Attributes:
        clients: Grants by the name in the certificate.
        others: The grant of every client without an entry: no role, and the default rate.
        plaintext: The grant of every caller in plaintext, which the proxy serves only on loopback and only if told to.
        audit_everything: Whether questions about no particular person are recorded, too.
        approvals: Whether acts that cannot be undone need a second person.
        revoked: Who may not even say who they are.
    """

    clients: Mapping[str, Grant] = field(default_factory=dict)
    others: Grant = Grant(calls_per_minute=DEFAULT_CALLS_PER_MINUTE, burst=DEFAULT_CALLS_PER_MINUTE)
    plaintext: Grant = NOTHING
    audit_everything: bool = False
    approvals: bool = True
    revoked: Revoked = Revoked()

    def of(self, name: str) -> Grant:
        """What an identity may ask: nothing, unless it has an entry and is not revoked."""
        return self.others if name in self.revoked.names else self.clients.get(name, self.others)


def parse(text: str, datasets: Mapping[str, Dataset]) -> Policy:
    """Reads a policy.

    Args:
        text: The policy, in TOML.
        datasets: The data sets that it may name.

    Raises:
        ConfigurationError: The policy is wrong; the message names the entry.
    """
    try:
        entries = from_toml(text)
    except ValueError as error:
        raise ConfigurationError(f"not TOML: {error}") from error
    clients = _take(entries, "", "clients", dict, {})
    rate = _number(entries, "", "calls_per_minute", MOST_CALLS_PER_MINUTE) or DEFAULT_CALLS_PER_MINUTE
    others = Grant(calls_per_minute=rate, burst=rate)
    policy = Policy(
        clients={
            _name(name, f"clients.{name}"): _grant(f"clients.{name}", entry, datasets, others)
            for name, entry in clients.items()
        },
        others=others,
        plaintext=_grant("plaintext", _take(entries, "", "plaintext", dict, {}), datasets, NOTHING),
        audit_everything=_one_of(entries, "audit", other="all", default="persons"),
        approvals=not _one_of(entries, "approvals", other="off", default="required"),
        revoked=_revoked(_take(entries, "", "revoked", dict, {})),
    )
    _require_empty(entries, "")
    for name, grant in policy.clients.items():
        if unknown := grant.may_act_for - set(policy.clients) - {EVERYBODY}:
            raise ConfigurationError(f"clients.{name}.may_act_for: no entry for {', '.join(sorted(unknown))}")
    return policy


def canonical_device(text: str) -> str | None:
    """A MAC address in canonical notation; None if the text is not a MAC address.

    >>> canonical_device("AABB.CCDD.EEFF")
    'aa:bb:cc:dd:ee:ff'
    """
    stored = read_one(text, ColumnType.MAC)
    return str(show_one(stored, ColumnType.MAC)) if stored.is_valid else None


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """The intersection of two restrictions; None means unrestricted."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _grant(path: str, entry: object, datasets: Mapping[str, Dataset], otherwise: Grant) -> Grant:
    """Reads an entry.

    Args:
        path: The entry, for messages.
        entry: What the file says.
        datasets: The data sets that it may name.
        otherwise: Has the rate of an entry that states none.
    """
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{path}: expected a table, got {type(entry).__name__}")
    entries = dict(entry)
    rate = _number(entries, path, "calls_per_minute", MOST_CALLS_PER_MINUTE)
    burst = _number(entries, path, "burst", MOST_CALLS_PER_MINUTE)
    if burst is not None and rate is None:
        raise ConfigurationError(f"{path}.burst: expected calls_per_minute as well")
    grant = Grant(
        roles=frozenset(map(Role, _texts(entries, path, "roles", list(Role)) or ())),
        datasets=_texts(entries, path, "datasets", list(datasets)),
        devices=_devices(entries, path),
        purposes=_texts(entries, path, "purposes"),
        longest_interval=_width(entries, path),
        calls_per_minute=rate or otherwise.calls_per_minute,
        burst=burst or rate or otherwise.burst,
        cells_per_minute=_number(entries, path, "cells_per_minute", MOST_CELLS) or DEFAULT_CELLS_PER_MINUTE,
        batches_per_second=_number(entries, path, "batches_per_second", MOST_BATCHES_PER_SECOND),
        may_act_for=_texts(entries, path, "may_act_for") or frozenset(),
    )
    _require_empty(entries, path)
    return grant


def _revoked(table: dict[str, Any]) -> Revoked:
    entries = dict(table)
    names = _texts(entries, "revoked", "names") or ()
    certificates = _texts(entries, "revoked", "certificates") or ()
    _require_empty(entries, "revoked")
    return Revoked(
        frozenset(_name(name, "revoked.names") for name in names),
        frozenset(_fingerprint(text) for text in certificates),
    )


def _fingerprint(text: str) -> str:
    """A fingerprint as it is compared; other programs print it in capitals, with colons."""
    digits = text.replace(":", "").lower()
    if not _FINGERPRINT.fullmatch(digits):
        raise ConfigurationError("revoked.certificates: expected SHA-256 fingerprints of 64 hexadecimal digits")
    return digits


def _take(entries: dict[str, Any], path: str, name: str, kind: type[T], default: T) -> T:
    value = entries.pop(name, default)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ConfigurationError(f"{_at(path, name)}: expected {kind.__name__}, got {type(value).__name__}")
    return value


def _texts(entries: dict[str, Any], path: str, name: str, known: list[str] | None = None) -> frozenset[str] | None:
    """The entry's list of texts; None if the entry is absent."""
    if name not in entries:
        return None
    values = _take(entries, path, name, list, [])
    if not all(isinstance(value, str) and value.strip() for value in values):
        raise ConfigurationError(f"{path}.{name}: expected a list of non-blank texts")
    if known is not None and (unknown := [value for value in values if value not in known]):
        raise ConfigurationError(f"{path}.{name}: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    return frozenset(value.strip() for value in values)


def _devices(entries: dict[str, Any], path: str) -> frozenset[str]:
    devices = [canonical_device(text) for text in sorted(_texts(entries, path, "devices") or ())]
    if None in devices:
        raise ConfigurationError(f"{path}.devices: expected MAC addresses")
    return frozenset(device for device in devices if device)


def _number(entries: dict[str, Any], path: str, name: str, most: int) -> int | None:
    if name not in entries:
        return None
    value = _take(entries, path, name, int, 0)
    if not 1 <= value <= most:
        raise ConfigurationError(f"{_at(path, name)}: expected 1 to {most}, got {value}")
    return value


def _width(entries: dict[str, Any], path: str) -> int | None:
    if "longest_interval" not in entries:
        return None
    return width(f"{path}.longest_interval", _take(entries, path, "longest_interval", str, ""))


def _name(name: str, path: str) -> str:
    try:
        client_uri(name)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return name


def _one_of(entries: dict[str, Any], name: str, *, other: str, default: str) -> bool:
    """Whether an entry with two values has the one that is not its default."""
    value = _take(entries, "", name, str, default)
    if value not in (default, other):
        raise ConfigurationError(f'{name}: expected "{default}" or "{other}", got {value!r}')
    return value == other


def _require_empty(entries: dict[str, Any], path: str) -> None:
    if entries:
        raise ConfigurationError(f"{_at(path, next(iter(entries)))}: no such entry")


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
