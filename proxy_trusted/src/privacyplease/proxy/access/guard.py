"""The guard: holds every call to the policy.

A call passes it twice: before it takes a slot, when only its method and its caller are known, and again with its
request, before the service sees it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import wraps
from typing import Any, TypeAlias

import grpc

from privacyplease.proxy.access.caller import ON_BEHALF_OF, Caller
from privacyplease.proxy.access.policy import Grant, Role, canonical_device
from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.access.rate_limiter import RateLimiter
from privacyplease.proxy.access.recorder import AnswerRecord, AuditRecorder
from privacyplease.proxy.access.rules import EVERY_DATASET, NO_RULE, OPEN, RULES, RequestScope, Rule
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


class AccessControl:
    """Decides about each call by the policy in force."""

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

    def caller(self, context: grpc.ServicerContext) -> Caller:
        """The caller and what they may ask. A caller who may act for others may ask nothing in their own name.

        Raises:
            PermissionDeniedError: The caller may not act for the user they name.
        """
        policy, caller = self._policies.current(), Caller.of(context)
        grant = policy.plaintext if self._plaintext else policy.of(caller.name)
        person = caller.on_behalf_of
        if not person:
            return caller._replace(grant=Grant(may_act_for=grant.may_act_for) if grant.may_act_for else grant)
        if person not in policy.clients or not grant.acts_for(person):
            raise PermissionDeniedError("expected one user on whose behalf the caller may ask", field=ON_BEHALF_OF)
        return caller._replace(grant=grant.on_behalf_of(policy.of(person)))

    def recorded(self, rule: Rule, scope: RequestScope | None) -> bool:
        """Whether the call must be recorded in the audit log."""
        persons = scope is not None and scope.about_persons
        return rule.act or persons or self._policies.current().audit_everything

    def admit(self, caller: Caller, rule: Rule) -> None:
        """Admits a call, before it takes a slot and its request is looked at.

        Raises:
            RateLimitedError: The caller has reached the limit of calls a minute.
            PermissionDeniedError: The caller has no role that allows the call, or it cannot be made on another user's
                behalf.
        """
        for name, grant in self._charged(caller):
            self._charge(name, grant)
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

    def pace(self, caller: Caller) -> None:
        """Waits until the caller may send another batch."""
        if rate := caller.grant.batches_per_second:
            while delay := self._limiter.take(f"{caller.name} batches", rate, rate):
                time.sleep(delay)

    def read(self, rule: Rule, request: Any) -> RequestScope:  # noqa: ANN401  # any message
        """The scope of a request."""
        return rule.read(request, self._datasets)

    def _charged(self, caller: Caller) -> Iterator[tuple[str, Grant]]:
        """Whose limits the call counts against: the caller's, and those of the user they act for."""
        yield caller.name, caller.grant
        if caller.on_behalf_of:
            yield f"for {caller.on_behalf_of}", self._policies.current().of(caller.on_behalf_of)

    def _charge(self, name: str, grant: Grant) -> None:
        rate = grant.calls_per_minute
        if rate and (delay := self._limiter.take(name, rate / 60, grant.burst)):
            message = f"expected at most {rate:,} calls a minute; try again in {delay:.1f} s"
            raise RateLimitedError(message, delay, calls_per_minute=rate)


class AccessGuard(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic only in the stubs
    """Refuses what the policy does not allow, and records calls in the audit log, if there is one.

    It is admission's gate (`transport.gate.Gate`), and an interceptor behind admission.
    """

    def __init__(self, access: AccessControl, recorder: AuditRecorder | None) -> None:
        self._access = access
        self._recorder = recorder

    def admit(self, rpc: str, context: grpc.ServicerContext) -> None:
        """Returns if the caller may make this call at all, and within their rate.

        Raises:
            AccessError: They may not.
        """
        if rpc not in OPEN:
            self._access.admit(self._access.caller(context), RULES.get(rpc, NO_RULE))

    def refused(self, rpc: str, request: object | None, context: grpc.ServicerContext, error: Exception) -> None:
        """Records what `admit` refused, and what was asked as far as it is known.

        Raises:
            AuditUnavailableError: The refusal cannot be recorded.
        """
        if self._recorder and isinstance(error, AccessError):
            scope = None
            with suppress(ProxyError):  # the request is wrong, too
                scope = None if request is None else self._access.read(RULES.get(rpc, NO_RULE), request)
            self._recorder.refused(rpc, Caller.of(context), scope, error)

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], _Handler | None], details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """Wraps the rpc's handler with the check."""
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
    ) -> Iterator[tuple[Any, AnswerRecord]]:
        """The checked request, or stream of requests, for the service, and the record of its answer."""
        rule = RULES.get(rpc, NO_RULE)
        scope = None if streams else self._access.read(rule, request)
        with self._refusing(rpc, scope, context):
            caller = self._access.caller(context)
            if scope is not None:
                self._access.check(caller, scope)
        admitted = self._batches(rpc, request, context, rule) if streams else request
        if not self._recorder or not self._access.recorded(rule, scope):
            yield admitted, AnswerRecord()
            return
        with self._recorder.answering(rpc, caller, scope, context, act=rule.act) as answer:
            yield admitted, answer

    def _batches(self, rpc: str, batches: Iterator[Any], context: grpc.ServicerContext, rule: Rule) -> Iterator[Any]:
        """Batches of records, no faster than the caller may send: beyond that the stream is slowed down.

        A stream may last for days, so each batch is checked against the policy in force when it arrives.
        """
        for batch in batches:
            scope = self._access.read(rule, batch)
            with self._refusing(rpc, scope, context):
                caller = self._access.caller(context)
                self._access.check(caller, scope)
            self._access.pace(caller)
            yield batch

    @contextmanager
    def _refusing(self, rpc: str, scope: RequestScope | None, context: grpc.ServicerContext) -> Iterator[None]:
        """Records a refusal before the caller learns of it."""
        try:
            yield
        except AccessError as error:
            if self._recorder:
                self._recorder.refused(rpc, Caller.of(context), scope, error)
            raise


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
