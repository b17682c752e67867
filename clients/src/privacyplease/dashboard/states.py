"""What is shown instead of an answer: one state for each group of the SDK's errors."""

from __future__ import annotations

from typing import NamedTuple

from privacyplease.client import PrivacyPleaseError, errors


class State(NamedTuple):
    """What is shown instead of an answer.

    Attributes:
        status: The HTTP status.
        kind: "refused", "away", "error" or "distrust"; how it looks.
        title: What happened.
        text: What can be done about it.
    """

    status: int
    kind: str
    title: str
    text: str


def state_of(error: PrivacyPleaseError) -> State:
    """The state for an error."""
    kinds: list[tuple[type[PrivacyPleaseError], int, str, str]] = [
        (errors.RequestError, 400, "refused", "This cannot be asked"),
        (errors.RefusedError, 403, "refused", "The policy does not allow this"),
        (errors.RateLimitedError, 429, "away", "Too many questions for now"),
        (errors.ProxyUnreachableError, 503, "away", "The proxy does not answer"),
        (errors.StorageUnavailableError, 503, "away", "The storage server is away"),
        (errors.TryAgainError, 503, "away", "No answer in time"),
        (errors.TrustError, 502, "distrust", "The storage server cannot be trusted"),
    ]
    for kind, status, name, title in kinds:
        if isinstance(error, kind):
            return State(status, name, title, f"{_sentence(error.message)}{_ADVICE[name]}")
    return State(500, "error", "Something is wrong with the system", _sentence(error.message))


_ADVICE = {
    "refused": "",
    "away": " Try again in a moment.",
    "distrust": " No part of its answer is shown. Keep the store as it is, and tell whoever answers for it.",
}


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
