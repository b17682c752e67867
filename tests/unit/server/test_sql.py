from __future__ import annotations

import pymysql
import pytest
from sqlalchemy.exc import OperationalError

from privacyplease.server import Limits, open_store
from privacyplease.server.errors import StartError
from privacyplease.server.sql import error_code, error_name


def test_the_name_of_an_error_does_not_quote_its_statement() -> None:
    error = OperationalError("SELECT X'c0ffee'", {}, pymysql.err.OperationalError(1213, "near X'c0ffee'"))
    assert error_code(error) == 1213
    assert error_name(error) == "OperationalError 1213"


def test_a_password_that_would_need_cryptography_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("'cryptography' package is required for caching_sha2_password")

    monkeypatch.setattr(pymysql, "connect", refuse)
    with pytest.raises(StartError, match="ssl_ca"):
        open_store("mysql://user:password@127.0.0.1/cells", Limits())
