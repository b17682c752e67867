"""Both servers as processes of their own, as `privacyplease up` runs them, over any store."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from privacyplease.client import Client


@contextmanager
def stack(storage: str) -> Iterator[Client]:
    """Starts both servers in a home of their own; gives a client of the proxy; stops them."""
    with tempfile.TemporaryDirectory(prefix="privacyplease-bench-") as home:
        environment = {**os.environ, "PRIVACYPLEASE_HOME": home}
        command = str(Path(sys.executable).with_name("privacyplease"))
        up = [command, "up", "--detach", "--proxy-port", "0", "--storage", storage]
        subprocess.run(up, check=True, env=environment, capture_output=True)
        try:
            with Client(_proxy_address(Path(home))) as client:
                yield client
        finally:
            subprocess.run([command, "down"], check=True, env=environment, capture_output=True)


def _proxy_address(home: Path) -> str:
    from privacyplease.cli.local.home import Home

    running = Home(home).running()
    if running is None:
        raise RuntimeError("the servers did not start")
    return running.proxy.address
