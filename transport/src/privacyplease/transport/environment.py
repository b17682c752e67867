r"""Environment variables that a process gets through a pipe, so that the system does not show them.

Linux shows the environment with which a process was started in `/proc/PID/environ`, `ps e` and crash reports. Variables
that are added later are only in its memory.

>>> encode({"VAULT_TOKEN": "s.1", "TZ": "UTC"})
b'VAULT_TOKEN=s.1\x00TZ=UTC\x00'
"""

from __future__ import annotations

import os
from collections.abc import Mapping

DESCRIPTOR = "PRIVACYPLEASE_ENVIRONMENT_FD"
"""The variable with the number of the descriptor from which the others are read."""


def encode(variables: Mapping[str, str]) -> bytes:
    """What to write to the pipe: each variable as `NAME=value`, followed by a NUL, as in `/proc/PID/environ`."""
    return b"".join(os.fsencode(f"{name}={value}\0") for name, value in variables.items())


def receive() -> None:
    """Reads the variables from the descriptor, up to its end, and adds them to `os.environ`.

    Does nothing if the environment names no descriptor. To be called first: before threads, and before options are
    read, whose defaults come from variables.
    """
    if descriptor := os.environ.pop(DESCRIPTOR, None):
        with open(int(descriptor), "rb", closefd=False) as pipe:  # it stays open, at its end: 0 must not be reused
            entries = pipe.read().split(b"\0")
        for name, _, value in (entry.partition(b"=") for entry in entries if entry):
            os.environb[name] = value
