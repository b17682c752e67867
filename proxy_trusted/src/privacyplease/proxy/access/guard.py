"""The guard: holds every call to the policy before the service sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from typing import Any, TypeAlias

import grpc

from privacyplease.proxy.access.caller import ON_BEHALF_OF, Caller
from privacyplease.proxy.access.policy import Grant, Role, canonical_device
from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.access.rates import Rates
from privacyplease.proxy.access.recorder import Answer, Recorder
from privacyplease.proxy.access.rules import EVERY_DATASET, NO_RULE, OPEN, RULES, Asked, Rule
from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import fail
from privacyplease.proxy.errors import (
    AccessError,
    LimitExceededError,
    PermissionDeniedError,
    ProxyError,
    PurposeRequiredError,
    RateLimitedError,
)
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import Interval
from privacyplease.transport.handlers import wrapped

_Behaviour: TypeAlias = Callable[..., Any]
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


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
        policy, caller = self._policies.current(), Caller.of(context)
        grant = policy.plaintext if self._plaintext else policy.of(caller.name)
        person = caller.on_behalf_of
        if not person:
            return caller._replace(grant=Grant(may_act_for=grant.may_act_for) if grant.may_act_for else grant)
        if person not in policy.clients or not grant.acts_for(person):
            raise PermissionDeniedError("expected one person whom the caller may ask for", field=ON_BEHALF_OF)
        return caller._replace(grant=grant.on_behalf_of(policy.of(person)))

    def recorded(self, rule: Rule, asked: Asked | None) -> bool:
        """Whether the audit log is to have it."""
        persons = asked is not None and asked.about_persons
        return rule.act or persons or self._policies.current().audit_everything

    def admit(self, caller: Caller, rule: Rule) -> None:
        """Lets a call begin.

        Raises:
            RateLimitedError: They have made as many calls as they may.
            PermissionDeniedError: They have no role that opens it, or nobody may make it for somebody else.
        """
        for name, grant in self._charged(caller):
            self._charge(name, grant)
        _require_role(caller.grant, rule.roles)
        if rule.in_person and caller.on_behalf_of:
            message = "expected the certificate of whoever asks: nobody does this for somebody else"
            raise PermissionDeniedError(message, field=ON_BEHALF_OF)

    def check(self, caller: Caller, asked: Asked) -> None:
        """Lets a request through.

        Raises:
            PermissionDeniedError: Role, data set or device are not the caller's to ask about.
            PurposeRequiredError: It must be said why.
            LimitExceededError: It asks for too much.
        """
        grant = caller.grant
        _require_role(grant, asked.roles)
        named = set(self._datasets) if asked.dataset == EVERY_DATASET else {asked.dataset}
        if asked.dataset and grant.datasets is not None and not named <= grant.datasets:
            raise PermissionDeniedError("expected a data set that the caller may ask", field="dataset")
        if asked.about_persons and not _is_own(grant, asked):
            _require_purpose(grant, asked)
        if asked.interval is not None and grant.longest_interval is not None:
            _require_short(requests.interval(asked.interval), grant.longest_interval)

    def pace(self, caller: Caller) -> None:
        """Waits until the caller may send another batch."""
        if rate := caller.grant.batches_per_second:
            while delay := self._rates.take(f"{caller.name} batches", rate, rate):
                time.sleep(delay)

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
    """Refuses what the policy does not allow, and records what the audit log is to have, if there is one."""

    def __init__(self, access: Access, recorder: Recorder | None) -> None:
        self._access = access
        self._recorder = recorder

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], _Handler | None], details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """Puts the check before whatever would answer."""
        handler, rpc = continuation(details), details.method
        return handler and (handler if rpc in OPEN else wrapped(handler, self._guarding(rpc, handler)))

    def _guarding(self, rpc: str, handler: _Handler) -> Callable[[_Behaviour], _Behaviour]:
        streams_in, streams_out = bool(handler.request_streaming), bool(handler.response_streaming)

        def guarded(behaviour: _Behaviour) -> _Behaviour:
            @wraps(behaviour)
            def one(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
                try:
                    with self._admitted(rpc, request, context, streams_in) as (admitted, answer):
                        response = behaviour(admitted, context)
                        answer.add(response)
                    return response
                except ProxyError as error:
                    fail(error, context)

            @wraps(behaviour)
            def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: ANN401  # any message
                try:
                    with self._admitted(rpc, request, context, streams_in) as (admitted, answer):
                        for response in behaviour(admitted, context):
                            answer.add(response)
                            yield response
                except ProxyError as error:
                    fail(error, context)

            return many if streams_out else one

        return guarded

    @contextmanager
    def _admitted(
        self,
        rpc: str,
        request: Any,  # noqa: ANN401  # any message, or an iterator of them
        context: grpc.ServicerContext,
        streams: bool,
    ) -> Iterator[tuple[Any, Answer]]:
        """The request, or the stream of them, as the service may see it, and what counts its answer."""
        rule = RULES.get(rpc, NO_RULE)
        asked = None if streams else self._access.read(rule, request)
        with self._refusing(rpc, asked, context):
            caller = self._access.caller(context)
            self._access.admit(caller, rule)
            if asked is not None:
                self._access.check(caller, asked)
        admitted = self._batches(rpc, request, context, rule) if streams else request
        if not self._recorder or not self._access.recorded(rule, asked):
            yield admitted, Answer()
            return
        with self._recorder.answering(rpc, caller, asked, context, act=rule.act) as answer:
            yield admitted, answer

    def _batches(self, rpc: str, batches: Iterator[Any], context: grpc.ServicerContext, rule: Rule) -> Iterator[Any]:
        """Batches of records, no faster than the caller may send: their stream waits.

        A stream may last for days, so each batch is held to the policy of its time.
        """
        for batch in batches:
            asked = self._access.read(rule, batch)
            with self._refusing(rpc, asked, context):
                caller = self._access.caller(context)
                self._access.check(caller, asked)
            self._access.pace(caller)
            yield batch

    @contextmanager
    def _refusing(self, rpc: str, asked: Asked | None, context: grpc.ServicerContext) -> Iterator[None]:
        """Records a refusal before it is told."""
        try:
            yield
        except AccessError as error:
            if self._recorder:
                self._recorder.refused(rpc, Caller.of(context), asked, error)
            raise


def _require_role(grant: Grant, roles: frozenset[Role]) -> None:
    if not roles:
        raise PermissionDeniedError("no role allows this call")
    if not grant.roles & roles:
        needed = " or ".join(sorted(roles))
        raise PermissionDeniedError(
            f"expected the role {needed}; the policy does not give it to the caller", role=needed
        )


def _is_own(grant: Grant, asked: Asked) -> bool:
    return Role.SELF in grant.roles and bool(grant.devices) and canonical_device(asked.subject) in grant.devices


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
