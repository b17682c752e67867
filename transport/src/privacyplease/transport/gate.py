"""The gate: what a zone decides about a call before it takes a slot, and while it is open."""

from __future__ import annotations

from typing import Protocol

import grpc


class Gate(Protocol):
    """Decides who may make a call at all, from its method and its caller: the message has not arrived yet."""

    def admit(self, method: str, context: grpc.ServicerContext) -> None:
        """Returns if the caller may make the call.

        Raises:
            Exception: The zone's error: the caller may not.
        """

    def refused(self, method: str, request: object | None, context: grpc.ServicerContext, error: Exception) -> None:
        """Records what `admit` has refused, before the caller learns of it.

        Args:
            method: The path of the rpc.
            request: The request message; None if there is not just one, or it did not arrive in time.
            context: The call's.
            error: What `admit` has raised.

        Raises:
            Exception: The refusal cannot be recorded; the call ends with this error.
        """

    def in_force(self, context: grpc.ServicerContext) -> bool:
        """Whether the caller of an open call still counts as the one who was admitted."""
