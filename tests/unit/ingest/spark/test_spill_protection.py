from __future__ import annotations

import pytest

from privacyplease.ingest.errors import SettingsError
from privacyplease.ingest.spark.spill_protection import ENCRYPTION, require_encryption


@pytest.mark.parametrize("value", [None, "", "false", "FALSE"])
def test_a_session_that_spills_legibly_is_refused_with_the_setting_named(value: str | None) -> None:
    with pytest.raises(SettingsError, match=r"expected spark\.io\.encryption\.enabled=true"):
        require_encryption({ENCRYPTION: value}.get)


def test_a_session_that_encrypts_is_accepted() -> None:
    require_encryption({ENCRYPTION: "True"}.get)
