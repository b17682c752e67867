# Generated from _internal/aio/catalogue.py by scripts/blocking_client.py; do not edit.
"""What there is, how it is doing, and what the caller may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privacyplease.client._internal.messages import answers, system
from privacyplease.client.catalogue import Access, Status
from privacyplease.proxy.v1.access_service_pb2 import WhoAmIRequest
from privacyplease.proxy.v1.admin_service_pb2 import GetStatusRequest

if TYPE_CHECKING:
    from privacyplease.client._internal.blocking.connection import Connection
    from privacyplease.proxy.v1.access_service_pb2_grpc import AccessServiceStub
    from privacyplease.proxy.v1.admin_service_pb2_grpc import AdminServiceStub


class CatalogueMethods:
    """The system and its policy."""

    _connection: Connection

    def status(self) -> Status:
        """How the system is doing. It answers even if the storage server is unavailable, and says so."""
        return system.status(self._connection.answer(self._admin.GetStatus, GetStatusRequest()))

    def whoami(self) -> Access:
        """The caller's name to the proxy, and what the policy allows them."""
        return answers.access(self._connection.answer(self._access.WhoAmI, WhoAmIRequest()))

    @property
    def _access(self) -> AccessServiceStub:
        from privacyplease.proxy.v1.access_service_pb2_grpc import AccessServiceStub

        return self._connection.stub(AccessServiceStub)

    @property
    def _admin(self) -> AdminServiceStub:
        from privacyplease.proxy.v1.admin_service_pb2_grpc import AdminServiceStub

        return self._connection.stub(AdminServiceStub)
