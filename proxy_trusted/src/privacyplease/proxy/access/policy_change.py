r"""What changes between two policies, for whoever has to approve it.

>>> from privacyplease.proxy.access.policy import parse
>>> before = parse('[clients.alice]\nroles = ["count"]\n[clients.dave]\nroles = ["approver"]', {})
>>> after = parse('approvals = "off"\n[clients.alice]\nroles = ["keys", "count"]', {})
>>> changes(before, after)
['approvals: required to off', 'changed alice: count to count, keys', 'removed dave: approver']
"""

from __future__ import annotations

from collections.abc import Iterator

from privacyplease.proxy.access.policy import Grant, Policy, Role


def described(digest: str, before: Policy, after: Policy, most: int) -> str:
    """The digest of the new file and all changes, or as many as there is room for and how many more there are.

    Args:
        digest: Identifies the new file; in hexadecimal digits.
        before: The policy in force.
        after: The policy of the new file.
        most: The number of characters; more than the digest takes.
    """
    text, found = f"sha256 {digest}", changes(before, after)
    for number, change in enumerate(found):
        more = f"; and {len(found) - number} more"
        if len(text) + len(f"; {change}") + len(more) > most:
            return text + more
        text += f"; {change}"
    return text


def changes(before: Policy, after: Policy) -> list[str]:
    """What changes, a text each: the rules for all, then who gains a role or a user to act for, then the rest."""
    names = {*before.clients, *after.clients}
    gaining = {name for name in names if _gains(before.clients.get(name, Grant()), after.clients.get(name, Grant()))}
    return [
        *_rules(before, after),
        *_tables(before, after, sorted(gaining)),
        *_tables(before, after, sorted(names - gaining)),
    ]


def _gains(was: Grant, will: Grant) -> bool:
    return bool(will.roles - was.roles or will.may_act_for - was.may_act_for)


def _rules(before: Policy, after: Policy) -> Iterator[str]:
    if before.approvals != after.approvals:
        yield "approvals: required to off" if before.approvals else "approvals: off to required"
    if before.audit_everything != after.audit_everything:
        yield "audit: all to persons" if before.audit_everything else "audit: persons to all"
    for what in ("names", "certificates"):
        was, will = getattr(before.revoked, what), getattr(after.revoked, what)
        if gone := sorted(was - will):
            yield f"no longer revoked: {', '.join(gone)}"
        if added := sorted(will - was):
            yield f"revoked: {', '.join(added)}"
    if before.plaintext != after.plaintext:
        yield f"changed plaintext: {_difference(before.plaintext, after.plaintext)}"
    if before.others != after.others:
        yield "changed calls_per_minute"


def _tables(before: Policy, after: Policy, names: list[str]) -> Iterator[str]:
    for name in names:
        was, will = before.clients.get(name), after.clients.get(name)
        if was is None and will is not None:
            yield f"added {name}: {_roles(will)}{_acting(will)}"
        elif was is not None and will is None:
            yield f"removed {name}: {_roles(was)}"
        elif was is not None and will is not None and was != will:
            yield f"changed {name}: {_difference(was, will)}"


def _difference(was: Grant, will: Grant) -> str:
    roles = f"{_roles(was)} to {_roles(will)}" if was.roles != will.roles else f"{_roles(will)}, other limits"
    return roles + (_acting(will) if was.may_act_for != will.may_act_for else "")


def _roles(grant: Grant) -> str:
    return ", ".join(role for role in Role if role in grant.roles) or "no role"


def _acting(grant: Grant) -> str:
    return f" for {', '.join(sorted(grant.may_act_for))}" if grant.may_act_for else ""
