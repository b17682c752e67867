"""ApprovalService: what waits for a second person, and what they decide."""

from __future__ import annotations

import grpc

from privacyplease.proxy.access.approvals import Approval, Approvals, State
from privacyplease.proxy.access.control import AccessControl
from privacyplease.proxy.access.policy import Role
from privacyplease.proxy.edge.rpc import answering
from privacyplease.proxy.edge.timestamps import timestamp
from privacyplease.proxy.v1 import approval_service_pb2 as pb
from privacyplease.proxy.v1 import approval_service_pb2_grpc as pb_grpc

STATES = {
    State.WAITING: pb.APPROVAL_STATE_WAITING,
    State.GRANTED: pb.APPROVAL_STATE_GRANTED,
    State.DENIED: pb.APPROVAL_STATE_DENIED,
    State.USED: pb.APPROVAL_STATE_USED,
    State.EXPIRED: pb.APPROVAL_STATE_EXPIRED,
}


class ApprovalService(pb_grpc.ApprovalServiceServicer):
    """Lists approvals and decides about them."""

    def __init__(self, access: AccessControl, approvals: Approvals) -> None:
        self._access = access
        self._approvals = approvals

    @answering
    def ListApprovals(  # noqa: N802
        self, _request: pb.ListApprovalsRequest, context: grpc.ServicerContext
    ) -> pb.ListApprovalsResponse:
        """Lists all approvals for an approver, and their own for others."""
        caller = self._access.caller(context)
        asked_by = None if Role.APPROVER in caller.grant.roles else caller.name
        return pb.ListApprovalsResponse(approvals=map(_message, self._approvals.list(asked_by)))

    @answering
    def Decide(self, request: pb.DecideRequest, context: grpc.ServicerContext) -> pb.DecideResponse:  # noqa: N802
        """Grants or denies an approval."""
        decided_by = self._access.caller(context).name
        return pb.DecideResponse(
            approval=_message(self._approvals.decide(request.number, decided_by, grant=request.grant))
        )


def _message(approval: Approval) -> pb.Approval:
    message = pb.Approval(
        number=approval.number,
        rpc=approval.rpc,
        request=approval.request,
        asked_by=approval.asked_by,
        asked_at=timestamp(approval.asked_at),
        expires_at=timestamp(approval.expires_at),
        state=STATES[approval.state],
        decided_by=approval.decided_by,
    )
    if approval.decided_at is not None:
        message.decided_at.CopyFrom(timestamp(approval.decided_at))
    return message
