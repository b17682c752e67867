"""Arrival: waits for a call's request message, but not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor


class Arrivals:
    """Receives request messages.

    gRPC's own wait for a message has no limit and ends only with the call. So another thread waits, and the thread that
    answers the call waits for that one for as long as it likes; after that it can still end the call with a reason.
    """

    def __init__(self, threads: int) -> None:
        """Prepares up to that many threads, which start as they are needed."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="arrival")

    def first(self, messages: Iterator[bytes], seconds: float) -> bytes | None:
        """The first message of a call; None if its caller sends none.

        Raises:
            TimeoutError: None has arrived in that time. The wait for it ends with the call.
            grpc.RpcError: The caller has left.
        """
        return self._threads.submit(next, messages, None).result(seconds)

    def end(self) -> None:
        """Lets the threads end, once no call is running any more."""
        self._threads.shutdown(wait=False)
