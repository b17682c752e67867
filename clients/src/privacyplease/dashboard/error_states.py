"""What a page shows instead of an answer: one state for each group of the SDK's errors."""

from __future__ import annotations

from typing import NamedTuple

from privacyplease.client import PrivacyPleaseError, errors


class ErrorState(NamedTuple):
    """What a page shows instead of an answer.

    Attributes:
        status: The HTTP status.
        kind: "refused", "unavailable", "error" or "distrust"; decides how it looks.
        title: What happened.
        text: Why, and what the reader can do about it.
    """

    status: int
    kind: str
    title: str
    text: str


def error_state(error: PrivacyPleaseError) -> ErrorState:
    """The state for an error."""
    states: list[tuple[type[PrivacyPleaseError], int, str, str]] = [
        (errors.RequestError, 400, "refused", "This question is not valid"),
        (errors.RefusedError, 403, "refused", "The policy does not allow this"),
        (errors.RateLimitedError, 429, "unavailable", "Too many questions at the moment"),
        (errors.ProxyUnreachableError, 503, "unavailable", "The proxy is unavailable"),
        (errors.StorageUnavailableError, 503, "unavailable", "The storage server is unavailable"),
        (errors.TryAgainError, 503, "unavailable", "The proxy cannot answer right now"),
        (errors.TrustError, 502, "distrust", "The storage server cannot be trusted"),
    ]
    for group, status, kind, title in states:
        if isinstance(error, group):
            return ErrorState(status, kind, title, f"{_sentence(error.message)}{_ADVICE[kind]}")
    return ErrorState(500, "error", "Something is wrong with the system", _sentence(error.message))


_ADVICE = {
    "refused": "",
    "unavailable": " Try again in a moment.",
    "distrust": " No part of its answer is shown. Leave the store as it is, and inform the person responsible for it.",
}


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
