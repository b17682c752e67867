"""Answers that break the contract."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from privacyplease.client.errors import FaultError

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def reads_answers(read: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Makes a function raise `FaultError` for an answer that it cannot read.

    That is one with a time beyond the year 9999, without what the contract promises, or with columns of several
    lengths.
    """

    @wraps(read)
    def checked(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return read(*args, **kwargs)
        except (ValueError, OverflowError, LookupError, TypeError) as error:
            raise FaultError("expected an answer as the contract defines it, got one that cannot be read") from error

    return checked
