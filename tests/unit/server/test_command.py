"""The command that runs the storage server."""

from __future__ import annotations

import pytest

from privacyplease.server.__main__ import main


def test_help_does_not_show_the_password_of_the_storage_url(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRIVACYPLEASE_STORAGE", "mysql://cells:hunter2@localhost/cells")
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert "PRIVACYPLEASE_STORAGE" in shown
    assert "hunter2" not in shown
