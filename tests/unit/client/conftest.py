"""A proxy that answers as a test scripts it, over real gRPC."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from privacyplease.client import Client
from privacyplease.proxy.v1 import (
    admin_service_pb2_grpc,
    audit_service_pb2_grpc,
    dead_letter_service_pb2_grpc,
    ingest_service_pb2_grpc,
    keys_service_pb2_grpc,
    occupancy_service_pb2_grpc,
    presence_service_pb2_grpc,
    query_service_pb2_grpc,
    stations_service_pb2_grpc,
    verification_service_pb2_grpc,
)
from privacyplease.transport.keepalive import Keepalive

Handler = Callable[[Any, grpc.ServicerContext], Any]

BRIEF_KEEPALIVE = Keepalive(interval_s=0.5, answer_s=1)
_OPTIONS = [("grpc.max_receive_message_length", 32 << 20), *BRIEF_KEEPALIVE.server_options()]


class ScriptedProxy:
    """Answers the n-th call of a method with the n-th handler given to `on`, and further calls with the last one."""

    address = ""

    def __init__(self) -> None:
        self._handlers: dict[str, list[Handler]] = defaultdict(list)
        self.requests: dict[str, list[Any]] = defaultdict(list)

    def on(self, method: str, *handlers: Handler) -> None:
        self._handlers[method] = list(handlers)

    def __getattr__(self, method: str) -> Handler:
        if method.startswith("_"):
            raise AttributeError(method)

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            number = len(self.requests[method])
            self.requests[method].append(request)
            handlers = self._handlers[method]
            return handlers[min(number, len(handlers) - 1)](request, context)

        return answer


def refuse(code: grpc.StatusCode, message: str = "no", *details: Any) -> Handler:
    """A handler that fails as the proxy does: with a status and details."""

    def handler(_: Any, context: grpc.ServicerContext) -> Any:
        packed = []
        for detail in details:
            packed.append(AnyMessage())
            packed[-1].Pack(detail)
        status = status_pb2.Status(code=code_pb2.Code.Value(code.name), message=message, details=packed)
        context.abort_with_status(rpc_status.to_status(status))

    return handler


def reason(name: str, **metadata: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=name, domain="proxy.privacyplease", metadata=metadata)


def violation(field: str, description: str) -> error_details_pb2.BadRequest:
    fields = [error_details_pb2.BadRequest.FieldViolation(field=field, description=description)]
    return error_details_pb2.BadRequest(field_violations=fields)


def serve(proxy: Any, port: int = 0) -> tuple[grpc.Server, int]:
    server = grpc.server(ThreadPoolExecutor(8), options=_OPTIONS)
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(proxy, server)
    audit_service_pb2_grpc.add_AuditServiceServicer_to_server(proxy, server)
    dead_letter_service_pb2_grpc.add_DeadLetterServiceServicer_to_server(proxy, server)
    ingest_service_pb2_grpc.add_IngestServiceServicer_to_server(proxy, server)
    keys_service_pb2_grpc.add_KeysServiceServicer_to_server(proxy, server)
    occupancy_service_pb2_grpc.add_OccupancyServiceServicer_to_server(proxy, server)
    presence_service_pb2_grpc.add_PresenceServiceServicer_to_server(proxy, server)
    query_service_pb2_grpc.add_QueryServiceServicer_to_server(proxy, server)
    stations_service_pb2_grpc.add_StationsServiceServicer_to_server(proxy, server)
    verification_service_pb2_grpc.add_VerificationServiceServicer_to_server(proxy, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, port


@pytest.fixture
def proxy() -> Iterator[ScriptedProxy]:
    proxy = ScriptedProxy()
    server, port = serve(proxy)
    proxy.address = f"127.0.0.1:{port}"
    yield proxy
    server.stop(None).wait()


@pytest.fixture
def client(proxy: ScriptedProxy) -> Iterator[Client]:
    with Client(proxy.address, insecure=True, timeout=5, stall_timeout=5) as client:
        yield client


@pytest.fixture
def scripts() -> Any:
    """The building blocks of handlers, for the tests in this folder."""
    return Scripts()


class Scripts:
    refuse = staticmethod(refuse)
    reason = staticmethod(reason)
    violation = staticmethod(violation)
    serve = staticmethod(serve)
    proxy = ScriptedProxy
    brief_keepalive = BRIEF_KEEPALIVE
