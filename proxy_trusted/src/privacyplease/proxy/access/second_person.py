r"""Whether a policy that requires approvals names people who can give them.

>>> from privacyplease.proxy.access.policy import parse
>>> require_approver(parse('approvals = "off"', {}))
>>> require_approver(parse('[clients.carol]\nroles = ["keys"]\n[clients.dave]\nroles = ["approver"]', {}))
"""

from __future__ import annotations

from privacyplease.proxy.access.policy import Policy, Role
from privacyplease.proxy.errors import ConfigurationError

_OTHERWISE = 'or approvals = "off"'


def require_approver(policy: Policy, *, plaintext: bool = False) -> None:
    """Returns if whatever needs an approval can get one.

    Nobody decides about what they have asked for themselves, and nobody who acts for others, or was revoked, decides.

    Args:
        policy: The policy.
        plaintext: Whether the proxy serves plaintext, so that it cannot tell one person from another.

    Raises:
        ConfigurationError: Something that needs an approval could never get one.
    """
    if not policy.approvals:
        return
    if plaintext:
        raise ConfigurationError('approvals: expected "off", since a proxy in plaintext cannot tell two people apart')
    approvers = _with(policy, Role.APPROVER)
    if not approvers:
        raise ConfigurationError(f"approvals: expected a client with the role approver, {_OTHERWISE}")
    if len(approvers) == 1 and approvers <= _with(policy, Role.KEYS):
        (name,) = approvers
        message = f"expected a client besides {name} with the role approver, since {name} has the role keys"
        raise ConfigurationError(f"approvals: {message}, {_OTHERWISE}")


def _with(policy: Policy, role: Role) -> set[str]:
    """Who may use a role in their own name."""
    grants = {name: policy.of(name) for name in policy.clients}
    return {name for name, grant in grants.items() if role in grant.roles and not grant.may_act_for}
