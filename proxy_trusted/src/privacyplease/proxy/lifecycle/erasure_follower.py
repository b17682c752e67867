"""Follows the erasures of other proxies that share the trusted store.

Once a second it renews the lease and reads the erasure log. What is erased is admitted no more from then on; batches,
questions and compaction jobs that began before are waited for; then the keys, and the cells opened with them, are
forgotten, and that is acknowledged. The lease is renewed while they are waited for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from privacyplease.proxy.edge.fence import Fence
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.lifecycle.eraser import EpochEraser
from privacyplease.proxy.lifecycle.erasure_log import ErasureLog
from privacyplease.proxy.lifecycle.peers import LEASE_SECONDS, MARGIN_SECONDS, Peers

PERIOD_SECONDS = 1.0

_log = logging.getLogger(__name__)


class ErasureFollower:
    """Two threads: one renews the lease, the other lets go of erased keys."""

    def __init__(self, peers: Peers, fence: Fence, erasure_log: ErasureLog, eraser: EpochEraser) -> None:
        self._peers = peers
        self._fence = fence
        self._erasure_log = erasure_log
        self._eraser = eraser
        self._acknowledged: set[tuple[str, KeyId]] = set()
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=[step], name=name, daemon=True)
            for name, step in (("lease", self._keep_up), ("erasures", self._let_go))
        ]

    def start(self) -> None:
        """Makes the lease, opens the fence and starts the threads."""
        self._attempt(self.renew)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Gives the lease up, when no call is running any more."""
        self._stopped.set()
        self._changed.set()
        for thread in self._threads:
            thread.join(PERIOD_SECONDS)
        self._attempt(self._peers.leave)

    def renew(self) -> None:
        """Renews the lease, reads the erasure log, and then keeps the fence open."""
        since = self._fence.clock()
        self._peers.renew()
        for dataset, key, erased_at in self._erasure_log.refresh():
            self._eraser.forget(dataset, key)
            if erased_at is None:
                self._changed.set()
        self._fence.open_for(LEASE_SECONDS - MARGIN_SECONDS, since=since)

    def let_go(self) -> None:
        """Waits for what may use erased keys, forgets them, and acknowledges that."""
        recorded = [(erasure.dataset, erasure.key) for erasure in self._erasure_log.recorded()]
        if not (new := [name for name in recorded if name not in self._acknowledged]):
            return
        self._eraser.wait_for_running()
        for dataset, key in new:
            self._eraser.forget(dataset, key)
            self._peers.acknowledge(dataset, [key])
        self._acknowledged |= set(new)

    def _keep_up(self) -> None:
        self._stopped.wait(PERIOD_SECONDS)
        if not self._stopped.is_set():
            self.renew()

    def _let_go(self) -> None:
        self._changed.wait(PERIOD_SECONDS)
        self._changed.clear()
        if not self._stopped.is_set():
            self.let_go()

    def _repeat(self, step: Callable[[], None]) -> None:
        while not self._stopped.is_set():
            self._attempt(step)

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # the thread must survive; the fence closes if the lease is not renewed
            _log.warning("the trusted store did not answer in time: %s", type(error).__name__)
            self._stopped.wait(PERIOD_SECONDS)
