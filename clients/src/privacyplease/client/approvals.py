"""What one person asked for, and another decides about."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ApprovalState(StrEnum):
    """What has become of an approval."""

    WAITING = "waiting"
    GRANTED = "granted"
    DENIED = "denied"
    USED = "used"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Approval:
    """What a call asks for, until a second person has decided and the call is made.

    Attributes:
        number: Its number.
        rpc: The rpc that was called, e.g. "KeysService/DestroyEpochs"; or "PolicyFile/Change" or "Home/Restore".
        request: What the call asks for, as text.
        asked_by: The name in the certificate of whoever asked; "(the proxy's machine)" for what was done there.
        asked_at: When they asked first.
        expires_at: Until when it can be granted; once granted, until when the call can be made.
        state: What has become of it.
        decided_by: The name in the certificate of whoever decided; "" if nobody has.
        decided_at: When they decided; None if nobody has.
    """

    number: int
    rpc: str
    request: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    state: ApprovalState
    decided_by: str
    decided_at: datetime | None
