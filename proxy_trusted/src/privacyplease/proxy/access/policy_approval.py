"""Which policy is in force while the policy file changes.

With approvals, a changed file is in force once a second person has approved exactly its content. Until then the policy
before it stays in force. What does not wait: whoever a file revokes is shut out at once, and stays so until the removal
of that entry is approved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from privacyplease.proxy.access.approvals import MACHINE, MOST_CHARACTERS, Approval, Approvals, State, Wanted
from privacyplease.proxy.access.policy import Policy, Revoked, parse
from privacyplease.proxy.access.policy_change import described
from privacyplease.proxy.access.policy_record import PolicyRecord, PolicyText
from privacyplease.proxy.access.second_person import require_approver
from privacyplease.proxy.errors import ApprovalRequiredError, ConfigurationError, InvalidRequestError
from privacyplease.proxy.records.dataset import Dataset

ACT = "PolicyFile/Change"

_OPEN = (State.WAITING, State.GRANTED)


class PolicyApproval:
    """Admits the content of a policy file, or keeps the policy before it in force. Used by one thread at a time.

    Attributes:
        policy: The policy in force.
    """

    def __init__(
        self, record: PolicyRecord, approvals: Approvals, datasets: Mapping[str, Dataset], *, plaintext: bool
    ) -> None:
        """Initialises the approval.

        Args:
            record: The policy in force.
            approvals: What second persons decide.
            datasets: The data sets that a policy may name.
            plaintext: Whether the proxy serves plaintext.
        """
        self._record = record
        self._approvals = approvals
        self._datasets = datasets
        self._plaintext = plaintext
        self._text: PolicyText | None = None
        self._recorded = Revoked()
        self.policy = Policy()
        self._asked: tuple[bytes, int] | None = None

    def begin(self, text: str, file: Policy) -> str:
        """Finds the policy in force at the start of the proxy. The first policy of a home needs no approval.

        Args:
            text: The content of the policy file.
            file: The policy in it.

        Returns:
            As `admit`.

        Raises:
            AuditUnavailableError: The first policy, or a change, cannot be recorded.
            ConfigurationError: The record of the policy in force was removed or changed, or the file is the first and
                names nobody who could approve anything.
        """
        self._text = self._record.read()
        if self._text is None:
            require_approver(file, plaintext=self._plaintext)
            self._put(text, file, "first policy")
            return ""
        kept = parse(self._text.text, self._datasets)
        self._recorded = _united(kept.revoked, self._text.revoked)
        self.policy = replace(kept, revoked=self._recorded)
        return self.admit(text, file)

    def admit(self, text: str, file: Policy) -> str:
        """Puts the file in force, or asks for the approval that it needs.

        Args:
            text: The content of the policy file.
            file: The policy in it.

        Returns:
            Why the file is not in force; "" if it is.

        Raises:
            AuditUnavailableError: A change cannot be recorded; whoever it revokes is shut out all the same.
        """
        self._revoke(file.revoked)
        if file == self.policy:
            self._withdraw()
            return ""
        try:
            require_approver(file, plaintext=self._plaintext)
            approval = self._approved(text, file) if self.policy.approvals else None
        except (ConfigurationError, ApprovalRequiredError, InvalidRequestError) as error:
            return str(error)
        self._put(text, file, "approved" if approval else "without approval", approval.decided_by if approval else "")
        return ""

    def _revoke(self, revoked: Revoked) -> None:
        """Shuts out at once whoever the file revokes."""
        self.policy = replace(self.policy, revoked=_united(self.policy.revoked, revoked))
        if self._text is not None and self.policy.revoked != self._recorded:
            text = self._text._replace(revoked=_united(self._text.revoked, revoked))
            self._record.write(text, "revocation")
            self._text, self._recorded = text, self.policy.revoked

    def _approved(self, text: str, file: Policy) -> Approval:
        """The approval of a change.

        Raises:
            ApprovalRequiredError: It waits, or was not given.
        """
        wanted = self._wanted(text, file)
        if self._asked and self._asked[0] == wanted.digest:
            state, number = self._approvals.state(self._asked[1]), self._asked[1]
            if state not in _OPEN:
                message = f"the change was {state.name.lower()} as number {number}; write the file again to ask again"
                raise ApprovalRequiredError(message, approval=number)
            if state is State.WAITING:
                raise ApprovalRequiredError(_waits(number), approval=number)
        else:
            self._withdraw()
        try:
            approval = self._approvals.use(wanted)
        except ApprovalRequiredError as error:
            number = int(error.metadata["approval"])
            self._asked = wanted.digest, number
            raise ApprovalRequiredError(_waits(number), approval=number) from error
        self._asked = None
        return approval

    def forget(self) -> None:
        """Lets a change that was denied, or has expired, ask again: the file was written again."""
        if self._asked and self._approvals.state(self._asked[1]) not in _OPEN:
            self._asked = None

    def _withdraw(self) -> None:
        """Ends what was asked for a content that the file no longer has."""
        if self._asked:
            self._approvals.withdraw(self._asked[1])
            self._asked = None

    def _wanted(self, text: str, file: Policy) -> Wanted:
        before = self._text.encoded() if self._text else b""
        digest = hashlib.sha256(ACT.encode() + b"\0" + hashlib.sha256(before).digest() + text.encode()).digest()
        request = described(PolicyText(text).digest, self.policy, file, MOST_CHARACTERS)
        return Wanted(ACT, digest, request, MACHINE)

    def _put(self, text: str, file: Policy, why: str, who: str = "") -> None:
        new = PolicyText(text)
        self._record.write(new, why, who)
        self._text, self.policy, self._recorded = new, file, file.revoked


def _united(one: Revoked, other: Revoked) -> Revoked:
    return Revoked(one.names | other.names, one.certificates | other.certificates)


def _waits(number: int) -> str:
    return f"the change waits for the approval of a second person, as number {number}"
