from __future__ import annotations

import pytest

from privacyplease.proxy.access.policy import parse
from privacyplease.proxy.access.second_person import require_approver
from privacyplease.proxy.errors import ConfigurationError

CAROL = '[clients.carol]\nroles = ["keys", "approver"]\n'
DAVE = '[clients.dave]\nroles = ["approver"]\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[clients.carol]\nroles = ["keys"]', "expected a client with the role approver"),
        (CAROL, "expected a client besides carol with the role approver"),
        ('[clients.dave]\nroles = ["approver"]\nmay_act_for = ["*"]', "expected a client with the role approver"),
        (DAVE + '[revoked]\nnames = ["dave"]', "expected a client with the role approver"),
    ],
)
def test_a_policy_under_which_nothing_could_be_approved_is_refused(text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        require_approver(parse(text, {}))
    require_approver(parse('approvals = "off"\n' + text, {}))


def test_two_people_are_enough_and_one_approver_who_holds_no_keys() -> None:
    require_approver(parse(CAROL + DAVE, {}))
    require_approver(parse(DAVE, {}))


def test_a_proxy_in_plaintext_cannot_require_approvals() -> None:
    with pytest.raises(ConfigurationError, match="cannot tell two people apart"):
        require_approver(parse(CAROL + DAVE, {}), plaintext=True)
