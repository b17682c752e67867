"""The gRPC health check, which both servers implement."""

from enum import Enum
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from privacyplease.client._internal.connection.channel import open_blocking
from privacyplease.client.errors import CertificateError
from privacyplease.transport.credentials import load

_TIMEOUT_S = 2.0


class Health(Enum):
    """The answer of a server, or that it gave none."""

    SERVING = "SERVING"
    NOT_SERVING = "NOT_SERVING"
    UNREACHABLE = "UNREACHABLE"


def check(address: str, certificates: Path | None) -> Health:
    """Checks the server at `address` once, with the certificate in a folder; in plaintext if that is None."""
    with open_blocking(address, load(certificates, CertificateError).channel() if certificates else None) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
        except grpc.RpcError:
            return Health.UNREACHABLE
    serving = answer.status == health_pb2.HealthCheckResponse.SERVING
    return Health.SERVING if serving else Health.NOT_SERVING
