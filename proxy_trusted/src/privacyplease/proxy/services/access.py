"""AccessService: what the caller may ask."""

from __future__ import annotations

import grpc
from google.protobuf.duration_pb2 import Duration

from privacyplease.proxy.access.caller import Caller
from privacyplease.proxy.access.control import AccessControl
from privacyplease.proxy.access.policy import Role
from privacyplease.proxy.edge.rpc import answering
from privacyplease.proxy.v1 import access_service_pb2 as pb
from privacyplease.proxy.v1 import access_service_pb2_grpc as pb_grpc

ROLES = {
    Role.INGEST: pb.ROLE_INGEST,
    Role.COUNT: pb.ROLE_COUNT,
    Role.PRESENCE: pb.ROLE_PRESENCE,
    Role.SELF: pb.ROLE_SELF,
    Role.STATIONS: pb.ROLE_STATIONS,
    Role.ADMIN: pb.ROLE_ADMIN,
    Role.KEYS: pb.ROLE_KEYS,
    Role.AUDIT: pb.ROLE_AUDIT,
    Role.APPROVER: pb.ROLE_APPROVER,
}


class AccessService(pb_grpc.AccessServiceServicer):
    """Answers from the policy in force."""

    def __init__(self, access: AccessControl) -> None:
        self._access = access

    @answering
    def WhoAmI(self, _request: pb.WhoAmIRequest, context: grpc.ServicerContext) -> pb.WhoAmIResponse:  # noqa: N802
        """Returns the caller's identity and what the policy grants them."""
        return _described(self._access.caller(context))


def _described(caller: Caller) -> pb.WhoAmIResponse:
    grant = caller.grant
    answer = pb.WhoAmIResponse(
        name=caller.name,
        on_behalf_of=caller.on_behalf_of,
        roles=sorted(ROLES[role] for role in grant.roles),
        datasets=sorted(grant.datasets or ()),
        devices=sorted(grant.devices),
        purposes=sorted(grant.purposes or ()),
        calls_per_minute=grant.calls_per_minute or 0,
        may_act_for=sorted(grant.may_act_for),
    )
    if grant.longest_interval is not None:
        longest = Duration()
        longest.FromMilliseconds(grant.longest_interval)
        answer.longest_interval.CopyFrom(longest)
    return answer
