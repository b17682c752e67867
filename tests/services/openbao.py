"""A private OpenBao in dev mode: its transit engine keeps the master key, in memory, until it is killed.

Example:
    with OpenBao() as bao:
        bao.make_key("records")
        open_key(bao.choice("records"), {"VAULT_TOKEN": bao.token})
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

_START_SECONDS = 60


class OpenBao:
    """`bao server -dev` on a free port."""

    token = "root-of-a-test"

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def choice(self, name: str) -> str:
        """What chooses a key of it as the master key."""
        return f"vault:{self.url}/transit/keys/{name}"

    def make_key(self, name: str) -> None:
        self.ask("POST", f"transit/keys/{name}")

    def limited_token(self, *policies: str) -> str:
        """A token that may do what the policies say, as paths with capabilities in HCL."""
        self.ask("PUT", "sys/policies/acl/limited", policy="\n".join(policies))
        return str(self.ask("POST", "auth/token/create", policies=["limited"])["auth"]["client_token"])

    def ask(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        answer = requests.request(
            method, f"{self.url}/v1/{path}", json=body, headers={"X-Vault-Token": self.token}, timeout=10
        )
        answer.raise_for_status()
        return answer.json() if answer.content else {}

    def __enter__(self) -> Self:
        program = Path(sys.executable).with_name("bao")
        listen = [f"-dev-listen-address=127.0.0.1:{self._port}", f"-dev-root-token-id={self.token}"]
        environment = os.environ | {"HOME": str(self._folder)}
        with (self._folder / "bao.log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, "server", "-dev", "-dev-no-store-token", *listen],
                stdout=log,
                stderr=log,
                env=environment,
            )
        self._wait()
        self.ask("POST", "sys/mounts/transit", type="transit")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process and self._process.poll() is None:
            try:
                if requests.get(f"{self.url}/v1/sys/health", timeout=1).ok:
                    return
            except requests.RequestException:
                time.sleep(0.1)
        raise RuntimeError(f"OpenBao did not start:\n{(self._folder / 'bao.log').read_text()}")


def installed() -> bool:
    return Path(sys.executable).with_name("bao").exists()
