import json
from pathlib import Path

import pytest

from privacyplease.proxy.access.caller import Caller
from privacyplease.proxy.access.policy import Role
from privacyplease.proxy.access.recorder import AuditRecorder
from privacyplease.proxy.access.rules import RequestScope
from privacyplease.proxy.audit.fields import MARK
from privacyplease.proxy.errors import PermissionDeniedError
from tests.services.audit_log import LogFolder

RPC = "/privacyplease.proxy.v1.PresenceService/FindSessions"


@pytest.mark.parametrize("character", ["x", '"', "\x00", "ä", "\U0001f525"])
def test_no_text_of_a_caller_makes_a_long_line(character: str, tmp_path: Path) -> None:
    log = LogFolder(tmp_path)
    text = character * 100_000
    scope = RequestScope(frozenset({Role.PRESENCE}), dataset=text, subject=text, purpose=text)
    AuditRecorder(log.open()).refused(RPC, Caller("mallory", text), scope, PermissionDeniedError("no"))
    (line,) = log.lines()
    assert len(line) < 3_000
    assert all(json.loads(line)[name].endswith(MARK) for name in ("dataset", "for", "purpose"))


def test_a_purpose_that_may_be_stated_is_recorded_whole(tmp_path: Path) -> None:
    log = LogFolder(tmp_path)
    scope = RequestScope(frozenset({Role.PRESENCE}), purpose="x" * 500)
    AuditRecorder(log.open()).refused(RPC, Caller("mallory", ""), scope, PermissionDeniedError("no"))
    assert json.loads(log.lines()[0])["purpose"] == scope.purpose
