"""Where a device was."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from privacyplease.client._internal.messages import answers, requests
from privacyplease.client.presence import Presence

if TYPE_CHECKING:
    from privacyplease.client._internal.aio.connection import AsyncConnection
    from privacyplease.proxy.v1.presence_service_pb2_grpc import PresenceServiceAsyncStub


class AsyncPresenceMethods:
    """Questions about one device."""

    _connection: AsyncConnection

    async def presence(
        self,
        device: str,
        start: datetime,
        end: datetime,
        *,
        place: str | None = None,
        dataset: str = "wifi",
        purpose: str = "",
    ) -> Presence:
        """Where a device was, and when.

        >>> seen = await client.presence("6a:da:22:b6:7e:cb", *day, purpose="lost property")
        >>> for session in list(seen.sessions)[:2]:
        ...     print(session.place, session.start, session.end)
        ap-05-7 2024-10-01 00:33:21+00:00 2024-10-01 01:51:57+00:00
        ap-05-7 2024-10-01 08:15:50+00:00 2024-10-01 08:15:50+00:00

        Args:
            device: A MAC address in any notation.
            start: The first instant.
            end: The last instant.
            place: Only sessions at this place.
            dataset: The data set to ask.
            purpose: Why the question is asked, for the audit log; up to 500 characters. Required, except for devices
                that the policy lists as the caller's own.
        """
        request = requests.presence(dataset, device, start, end, place, purpose)
        return answers.presence(await self._connection.pages(self._presence.FindSessions, request))

    @property
    def _presence(self) -> PresenceServiceAsyncStub:
        from privacyplease.proxy.v1.presence_service_pb2_grpc import PresenceServiceStub

        return self._connection.stub(PresenceServiceStub)
