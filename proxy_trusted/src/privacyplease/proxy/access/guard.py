"""The guard: holds every call to the policy.

A call passes it twice: before it takes a slot, when only its method and its caller are known, and again with its
request, before the service sees it. A stream passes it with each batch and with each page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial, wraps
from typing import Any, TypeAlias

import grpc

from privacyplease.proxy.access.caller import Caller
from privacyplease.proxy.access.control import AccessControl
from privacyplease.proxy.access.recorder import AnswerRecord, AuditRecorder
from privacyplease.proxy.access.rules import NO_RULE, OPEN, RULES, RequestScope, Rule
from privacyplease.proxy.edge.cell_budget import charged_to
from privacyplease.proxy.edge.rpc import fail
from privacyplease.proxy.errors import AccessError, ProxyError, RevokedError
from privacyplease.transport.handlers import wrapped

# What is recorded as a refusal.
_REFUSALS = (AccessError, RevokedError)

_Behaviour: TypeAlias = Callable[..., Any]
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


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
            RevokedError: Their certificate or name was revoked.
            AccessError: They may not.
        """
        if rpc in OPEN:
            self._access.require_in_force(context)
        else:
            self._access.charge(Caller.of(context).name)
            self._access.admit(self._access.caller(context), RULES.get(rpc, NO_RULE))

    def refused(self, rpc: str, request: object | None, context: grpc.ServicerContext, error: Exception) -> None:
        """Records what `admit` refused, and what was asked as far as it is known.

        Raises:
            AuditUnavailableError: The refusal cannot be recorded.
        """
        if self._recorder and isinstance(error, _REFUSALS):
            scope = None
            with suppress(ProxyError):  # the request is wrong, too
                scope = None if request is None else self._access.read(RULES.get(rpc, NO_RULE), request)
            self._recorder.refused(rpc, Caller.of(context), scope, error)

    def in_force(self, context: grpc.ServicerContext) -> bool:
        """Whether neither the caller's certificate nor their name was revoked."""
        return self._access.in_force(context)

    def require_in_force(self, rpc: str, context: grpc.ServicerContext) -> None:
        """Returns unless the caller of an open call was revoked; records it, if so.

        Raises:
            RevokedError: The caller's certificate or name was revoked.
        """
        with self._refusing(rpc, None, context):
            self._access.require_in_force(context)

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], _Handler | None], details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """Wraps the rpc's handler with the check."""
        handler, rpc = continuation(details), details.method
        return handler and (handler if rpc in OPEN else wrapped(handler, self._guarding(rpc, handler)))

    def _guarding(self, rpc: str, handler: _Handler) -> Callable[[_Behaviour], _Behaviour]:
        streams_in, streams_out = bool(handler.request_streaming), bool(handler.response_streaming)
        rule = RULES.get(rpc, NO_RULE)

        def guarded(behaviour: _Behaviour) -> _Behaviour:
            @wraps(behaviour)
            def one(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
                try:
                    scope = None if streams_in else self._access.read(rule, request)
                    with self._admitted(rpc, request, scope, context) as (admitted, answer):
                        response = behaviour(admitted, context)
                        answer.add(response)
                    return response
                except ProxyError as error:
                    fail(error, context)

            @wraps(behaviour)
            def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: ANN401  # any message
                try:
                    scope = None if streams_in else self._access.read(rule, request)
                    with self._admitted(rpc, request, scope, context) as (admitted, answer):
                        for response in behaviour(admitted, context):
                            if scope is not None:  # of a stream, each batch is checked instead
                                self._check(rpc, scope, context)
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
        scope: RequestScope | None,
        context: grpc.ServicerContext,
    ) -> Iterator[tuple[Any, AnswerRecord]]:
        """The checked request, or stream of requests, for the service, and the record of its answer."""
        rule = RULES.get(rpc, NO_RULE)
        caller = self._check(rpc, scope, context)
        if scope is not None:
            with self._refusing(rpc, scope, context):
                self._access.require_approval(caller, rpc, rule, request)
        admitted = self._batches(rpc, request, context, rule) if scope is None else request
        with charged_to(partial(self._charge, rpc, scope, context, caller)):
            if self._recorder and self._access.recorded(rule, scope):
                with self._recorder.answering(rpc, caller, scope, context, act=rule.act) as answer:
                    yield admitted, answer
                return
            if self._recorder and rule.asks:
                self._recorder.counted(rpc, caller, scope)
            yield admitted, AnswerRecord()

    def _batches(self, rpc: str, batches: Iterator[Any], context: grpc.ServicerContext, rule: Rule) -> Iterator[Any]:
        """Batches of records, no faster than the caller may send: beyond that the stream is slowed down.

        A stream may last for days, so each batch is checked against the policy in force when it arrives. One that names
        no data set is for that of the batch before it.
        """
        dataset = ""
        for batch in batches:
            scope = self._access.read(rule, batch)
            dataset = scope.dataset or dataset
            self._access.pace(self._check(rpc, replace(scope, dataset=dataset), context))
            yield batch

    def _check(self, rpc: str, scope: RequestScope | None, context: grpc.ServicerContext) -> Caller:
        """The caller, if the policy in force allows them to ask this; a refusal is recorded."""
        with self._refusing(rpc, scope, context):
            caller = self._access.caller(context)
            if scope is not None:
                self._access.check(caller, scope)
        return caller

    def _charge(
        self, rpc: str, scope: RequestScope | None, context: grpc.ServicerContext, caller: Caller, cells: int
    ) -> None:
        """Charges the cells that a question touches; a refusal is recorded."""
        with self._refusing(rpc, scope, context):
            self._access.charge_cells(caller, cells)

    @contextmanager
    def _refusing(self, rpc: str, scope: RequestScope | None, context: grpc.ServicerContext) -> Iterator[None]:
        """Records a refusal before the caller learns of it."""
        try:
            yield
        except _REFUSALS as error:
            if self._recorder:
                self._recorder.refused(rpc, Caller.of(context), scope, error)
            raise
