"""Approvals: what waits for a second person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privacyplease.client._internal.messages import approvals as messages
from privacyplease.client.approvals import Approval
from privacyplease.proxy.v1.approval_service_pb2 import DecideRequest, ListApprovalsRequest

if TYPE_CHECKING:
    from privacyplease.client._internal.aio.connection import AsyncConnection
    from privacyplease.proxy.v1.approval_service_pb2_grpc import ApprovalServiceAsyncStub


class AsyncApprovalMethods:
    """Listing approvals, and deciding about them."""

    _connection: AsyncConnection

    async def approvals(self) -> tuple[Approval, ...]:
        """The approvals of the last 30 days, newest first: all of them for an approver, for others their own."""
        return messages.approvals(await self._connection.answer(self._approvals.ListApprovals, ListApprovalsRequest()))

    async def decide(self, number: int, *, grant: bool) -> Approval:
        """Grants or denies what somebody else has asked for.

        Args:
            number: The approval's number.
            grant: Whether to grant it.
        """
        request = DecideRequest(number=number, grant=grant)
        return messages.approval((await self._connection.answer(self._approvals.Decide, request)).approval)

    @property
    def _approvals(self) -> ApprovalServiceAsyncStub:
        from privacyplease.proxy.v1.approval_service_pb2_grpc import ApprovalServiceStub

        return self._connection.stub(ApprovalServiceStub)
