"""The guard: holds every call to the policy before the service sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import wraps
from typing import Any, NamedTuple, TypeAlias

import grpc

from privacyplease.proxy import requests
from privacyplease.proxy.access.policy import Grant, Role, canonical_device
from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.access.rates import Rates
from privacyplease.proxy.access.rules import OPEN, RULES, Asked, Rule
from privacyplease.proxy.dataset import Dataset
from privacyplease.proxy.errors import (
    LimitExceededError,
    PermissionDeniedError,
    ProxyError,
    PurposeRequiredError,
    RateLimitedError,
)
from privacyplease.proxy.identity import client_of, rewrapped
from privacyplease.proxy.rpc import fail
from privacyplease.proxy.timeline import Interval

ON_BEHALF_OF = "privacyplease-on-behalf-of"

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Caller(NamedTuple):
    """Who calls, and what they may ask.

    Attributes:
        name: The name in the certificate; "" in plaintext.
        on_behalf_of: For whom; "" for nobody else.
        grant: What they may ask.
    """

    name: str
    on_behalf_of: str
    grant: Grant


class Access:
    """What the policy in force says about each call."""

    def __init__(self, policies: PolicyFile, datasets: Mapping[str, Dataset], rates: Rates, *, plaintext: bool) -> None:
        """Stands on a policy.

        Args:
            policies: The policy.
            datasets: All data sets.
            rates: Where calls are counted.
            plaintext: Whether callers come without certificates.
        """
        self._policies = policies
        self._datasets = datasets
        self._rates = rates
        self._plaintext = plaintext

    def caller(self, context: grpc.ServicerContext) -> Caller:
        """Who calls. Whoever may act for others asks nothing in their own name.

        Raises:
            PermissionDeniedError: They call on behalf of somebody for whom they may not.
        """
        policy, name = self._policies.current(), client_of(context) or ""
        grant = policy.plaintext if self._plaintext else policy.of(name)
        people = [str(value) for key, value in context.invocation_metadata() if key == ON_BEHALF_OF]
        if not people:
            return Caller(name, "", Grant(may_act_for=grant.may_act_for) if grant.may_act_for else grant)
        if len(people) > 1 or people[0] not in policy.clients or not grant.acts_for(people[0]):
            raise PermissionDeniedError("expected one person whom the caller may ask for", field=ON_BEHALF_OF)
        return Caller(name, people[0], grant.on_behalf_of(policy.of(people[0])))

    def admit(self, caller: Caller, rule: Rule) -> None:
        """Lets a call begin.

        Raises:
            RateLimitedError: They have made as many calls as they may.
            PermissionDeniedError: They have no role that opens it.
        """
        for name, grant in self._charged(caller):
            self._charge(name, grant)
        _require_role(caller.grant, rule.roles)

    def check(self, caller: Caller, asked: Asked) -> None:
        """Lets a request through.

        Raises:
            PermissionDeniedError: Role, data set or device are not the caller's to ask about.
            PurposeRequiredError: It must be said why.
            LimitExceededError: It asks for too much.
        """
        grant = caller.grant
        _require_role(grant, asked.roles)
        if asked.dataset and grant.datasets is not None and asked.dataset not in grant.datasets:
            raise PermissionDeniedError("this data set is not one that the caller may ask", field="dataset")
        if asked.about_persons and not _is_own(grant, asked):
            _require_purpose(grant, asked)
        if asked.interval is not None and grant.longest_interval is not None:
            _require_short(requests.interval(asked.interval), grant.longest_interval)

    def paced(self, batches: Iterator[Any], context: grpc.ServicerContext, rule: Rule) -> Iterator[Any]:
        """Batches of records, no faster than the caller may send: their stream waits.

        A stream may last for days, so each batch is held to the policy of its time.
        """
        for batch in batches:
            caller = self.caller(context)
            self.check(caller, self.read(rule, batch))
            if rate := caller.grant.batches_per_second:
                while delay := self._rates.take(f"{caller.name} batches", rate, rate):
                    time.sleep(delay)
            yield batch

    def read(self, rule: Rule, request: Any) -> Asked:  # noqa: ANN401  # any message
        """What a request asks."""
        return rule.read(request, self._datasets)

    def _charged(self, caller: Caller) -> Iterator[tuple[str, Grant]]:
        """Whose calls it counts among: the caller's, and those of the person they ask for."""
        yield caller.name, caller.grant
        if caller.on_behalf_of:
            yield f"for {caller.on_behalf_of}", self._policies.current().of(caller.on_behalf_of)

    def _charge(self, name: str, grant: Grant) -> None:
        rate = grant.calls_per_minute
        if rate and (delay := self._rates.take(name, rate / 60, grant.burst)):
            message = f"expected at most {rate:,} calls a minute; the next may be made in {delay:.1f} s"
            raise RateLimitedError(message, delay, calls_per_minute=rate)


class Guard(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Refuses what the policy does not allow."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], _Handler | None], details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """Puts the check before whatever would answer."""
        handler, rpc = continuation(details), details.method
        return handler and (handler if rpc in OPEN else rewrapped(handler, self._guarded(rpc, handler)))

    def _guarded(self, rpc: str, handler: _Handler) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        rule = RULES.get(rpc)
        streams = bool(handler.response_streaming)

        def guarded(behaviour: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(behaviour)
            def one(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
                return behaviour(self._admitted(rule, handler, request, context), context)

            @wraps(behaviour)
            def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: ANN401  # any message
                yield from behaviour(self._admitted(rule, handler, request, context), context)

            return many if streams else one

        return guarded

    def _admitted(
        self,
        rule: Rule | None,
        handler: _Handler,
        request: Any,  # noqa: ANN401  # any message
        context: grpc.ServicerContext,
    ) -> Any:  # noqa: ANN401
        """The request, or the stream of them, as the service may see it."""
        try:
            caller = self._access.caller(context)
            if rule is None:
                raise PermissionDeniedError("no role allows this call")
            self._access.admit(caller, rule)
            if handler.request_streaming:
                return self._access.paced(request, context, rule)
            self._access.check(caller, self._access.read(rule, request))
        except ProxyError as error:
            fail(error, context)
        return request


def _require_role(grant: Grant, roles: frozenset[Role]) -> None:
    if not grant.roles & roles:
        needed = " or ".join(sorted(roles))
        raise PermissionDeniedError(
            f"expected the role {needed}; the policy does not give it to the caller", role=needed
        )


def _is_own(grant: Grant, asked: Asked) -> bool:
    return Role.SELF in grant.roles and bool(asked.subject) and canonical_device(asked.subject) in grant.devices


def _require_purpose(grant: Grant, asked: Asked) -> None:
    if Role.PRESENCE not in grant.roles:
        message = "expected one of the caller's own devices; the policy gives them the role self alone"
        raise PermissionDeniedError(message, field="device", role=Role.PRESENCE)
    purpose = requests.purpose(asked.purpose)
    if not purpose:
        raise PurposeRequiredError("expected the purpose of this question about a person, got none", field="purpose")
    if grant.purposes is not None and purpose not in grant.purposes:
        known = ", ".join(sorted(grant.purposes))
        raise PurposeRequiredError(f"expected one of the purposes {known}", field="purpose", known=known)


def _require_short(interval: Interval, longest: int) -> None:
    if interval.end - interval.start > longest:
        limit = timedelta(milliseconds=longest)
        raise LimitExceededError(f"expected an interval of at most {limit}", field="interval", limit=limit)
