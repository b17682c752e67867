"""Access control: what the policy in force says about a caller, a call and a request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import grpc

from privacyplease.proxy.access.approvals import Approvals
from privacyplease.proxy.access.caller import ON_BEHALF_OF, Caller
from privacyplease.proxy.access.policy import Grant, Role, canonical_device
from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.access.rate_limiter import RateLimiter
from privacyplease.proxy.access.rules import EVERY_DATASET, RequestScope, Rule
from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.identity import client_of, fingerprint_of
from privacyplease.proxy.errors import (
    ApprovalRequiredError,
    LimitExceededError,
    PermissionDeniedError,
    PurposeRequiredError,
    RateLimitedError,
    RevokedError,
)
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import Interval


class AccessControl:
    """Decides about each call by the policy in force.

    Attributes:
        approvals: What second persons have granted. Set once the trusted store is open; before, no call that needs an
            approval is answered.
    """

    def __init__(
        self, policies: PolicyFile, datasets: Mapping[str, Dataset], limiter: RateLimiter, *, plaintext: bool
    ) -> None:
        """Initialises access control.

        Args:
            policies: The policy file, which gives the policy in force.
            datasets: All data sets.
            limiter: Counts calls and batches.
            plaintext: Whether the proxy serves plaintext, so that callers show no certificate.
        """
        self._policies = policies
        self._datasets = datasets
        self._limiter = limiter
        self._plaintext = plaintext
        self.approvals: Approvals | None = None

    def caller(self, context: grpc.ServicerContext) -> Caller:
        """The caller and what they may ask. A caller who may act for others may ask nothing in their own name.

        Raises:
            RevokedError: The caller's certificate or name was revoked.
            PermissionDeniedError: The caller may not act for the user they name.
        """
        self.require_in_force(context)
        policy, caller = self._policies.current(), Caller.of(context)
        grant = self._granted(caller.name)
        person = caller.on_behalf_of
        if not person:
            return caller._replace(grant=Grant(may_act_for=grant.may_act_for) if grant.may_act_for else grant)
        if person not in policy.clients or not grant.acts_for(person):
            raise PermissionDeniedError("expected one user on whose behalf the caller may ask", field=ON_BEHALF_OF)
        return caller._replace(grant=grant.on_behalf_of(policy.of(person)))

    def require_in_force(self, context: grpc.ServicerContext) -> None:
        """Returns unless the caller's certificate or name was revoked.

        Raises:
            RevokedError: It was.
        """
        if not self.in_force(context):
            raise RevokedError("expected a certificate that is in force; this one, or its name, was revoked")

    def in_force(self, context: grpc.ServicerContext) -> bool:
        """Whether neither the caller's certificate nor their name was revoked."""
        revoked = self._policies.current().revoked
        if client_of(context) in revoked.names:
            return False
        return not revoked.certificates or fingerprint_of(context) not in revoked.certificates

    def recorded(self, rule: Rule, scope: RequestScope | None) -> bool:
        """Whether the call must be recorded in the audit log."""
        persons = scope is not None and scope.about_persons
        return rule.act or persons or self._policies.current().audit_everything

    def charge(self, name: str) -> None:
        """Counts a call against its caller's rate, whatever becomes of it.

        Raises:
            RateLimitedError: The caller has reached the limit of calls a minute.
        """
        self._charge(name, self._granted(name))

    def admit(self, caller: Caller, rule: Rule) -> None:
        """Admits a call, before it takes a slot and its request is looked at.

        Raises:
            RateLimitedError: The user for whom the caller acts has reached the limit of calls a minute.
            PermissionDeniedError: The caller has no role that allows the call, or it cannot be made on another user's
                behalf.
        """
        if person := caller.on_behalf_of:
            self._charge(f"for {person}", self._policies.current().of(person))
        _require_role(caller.grant, rule.roles)
        if rule.in_person and caller.on_behalf_of:
            message = "expected the user's own certificate: this call cannot be made on another user's behalf"
            raise PermissionDeniedError(message, field=ON_BEHALF_OF)

    def check(self, caller: Caller, scope: RequestScope) -> None:
        """Checks one request.

        Raises:
            PermissionDeniedError: The caller lacks the role, or may not ask about this data set or device.
            PurposeRequiredError: No purpose is stated, or one that the caller may not state.
            LimitExceededError: The interval is longer than the caller may ask about.
        """
        grant = caller.grant
        _require_role(grant, scope.roles)
        named = set(self._datasets) if scope.dataset == EVERY_DATASET else {scope.dataset}
        if scope.dataset and grant.datasets is not None and not named <= grant.datasets:
            raise PermissionDeniedError("expected a data set that the caller may ask about", field="dataset")
        if scope.about_persons and not _is_own(grant, scope):
            _require_purpose(grant, scope)
        if scope.interval is not None and grant.longest_interval is not None:
            _require_short(requests.interval(scope.interval), grant.longest_interval)

    def require_approval(self, caller: Caller, rpc: str, rule: Rule, request: Any) -> None:  # noqa: ANN401  # any message
        """Makes sure that a second person has approved a request that needs it.

        Raises:
            ApprovalRequiredError: Nobody has; it waits for a decision.
        """
        if not self._policies.current().approvals or (approved := rule.approval(request, self._datasets)) is None:
            return
        if self.approvals is None:
            raise ApprovalRequiredError("expected the approval of a second person, but the trusted store is not open")
        self.approvals.require(rpc.rpartition(".")[2], approved, caller.name)

    def charge_cells(self, caller: Caller, cells: int) -> None:
        """Charges the cells that a question touches to the user for whom it is asked, or to its caller.

        Raises:
            RateLimitedError: Nothing is left of what they may ask for.
        """
        person = caller.on_behalf_of
        rate = (self._policies.current().of(person) if person else caller.grant).cells_per_minute
        name = f"cells for {person}" if person else f"cells {caller.name}"
        if delay := self._limiter.take(name, rate / 60, rate, cells):
            message = f"expected questions that touch at most {rate:,} cells a minute, of which none is left"
            raise RateLimitedError(f"{message}; try again in {delay:.1f} s", delay, cells_per_minute=rate)

    def pace(self, caller: Caller) -> None:
        """Waits until the caller may send another batch."""
        if rate := caller.grant.batches_per_second:
            while delay := self._limiter.take(f"{caller.name} batches", rate, rate):
                time.sleep(delay)

    def read(self, rule: Rule, request: Any) -> RequestScope:  # noqa: ANN401  # any message
        """The scope of a request."""
        return rule.read(request, self._datasets)

    def _granted(self, name: str) -> Grant:
        """What the policy grants a caller in their own name."""
        policy = self._policies.current()
        return policy.plaintext if self._plaintext else policy.of(name)

    def _charge(self, name: str, grant: Grant) -> None:
        rate = grant.calls_per_minute
        if rate and (delay := self._limiter.take(name, rate / 60, grant.burst)):
            message = f"expected at most {rate:,} calls a minute; try again in {delay:.1f} s"
            raise RateLimitedError(message, delay, calls_per_minute=rate)


def _require_role(grant: Grant, roles: frozenset[Role]) -> None:
    if not roles:
        raise PermissionDeniedError("no role allows this call")
    if not grant.roles & roles:
        needed = " or ".join(sorted(roles))
        raise PermissionDeniedError(f"expected the role {needed}, which the caller does not have", role=needed)


def _is_own(grant: Grant, scope: RequestScope) -> bool:
    return Role.SELF in grant.roles and bool(grant.devices) and canonical_device(scope.subject) in grant.devices


def _require_purpose(grant: Grant, scope: RequestScope) -> None:
    if Role.PRESENCE not in grant.roles:
        message = "expected one of the caller's own devices: the policy grants them the role self, but not presence"
        raise PermissionDeniedError(message, field="device", role=Role.PRESENCE)
    purpose = requests.purpose(scope.purpose)
    if not purpose:
        raise PurposeRequiredError("expected a purpose for this question about a person, got none", field="purpose")
    if grant.purposes is not None and purpose not in grant.purposes:
        known = ", ".join(sorted(grant.purposes))
        raise PurposeRequiredError(f"expected one of the purposes: {known}", field="purpose", known=known)


def _require_short(interval: Interval, longest: int) -> None:
    if interval.end - interval.start > longest:
        limit = timedelta(milliseconds=longest)
        raise LimitExceededError(f"expected an interval of at most {limit}", field="interval", limit=limit)
