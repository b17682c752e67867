"""Approvals as messages."""

from privacyplease.client._internal.contract import reads_answers
from privacyplease.client._internal.times import instant
from privacyplease.client.approvals import Approval, ApprovalState
from privacyplease.proxy.v1 import approval_service_pb2 as pb

_PREFIX = "APPROVAL_STATE_"


@reads_answers
def approvals(response: pb.ListApprovalsResponse) -> tuple[Approval, ...]:
    """The approvals of ListApprovals."""
    return tuple(map(approval, response.approvals))


@reads_answers
def approval(message: pb.Approval) -> Approval:
    """One approval."""
    return Approval(
        number=message.number,
        rpc=message.rpc,
        request=message.request,
        asked_by=message.asked_by,
        asked_at=instant(message.asked_at),
        expires_at=instant(message.expires_at),
        state=ApprovalState(pb.ApprovalState.Name(message.state).removeprefix(_PREFIX).lower()),
        decided_by=message.decided_by,
        decided_at=instant(message.decided_at) if message.HasField("decided_at") else None,
    )
