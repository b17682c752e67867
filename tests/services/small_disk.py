"""A small disk: a tmpfs, which only root can mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """Mounts a disk for as long as the block lasts; skips the test where that is not possible."""
    folder.mkdir()
    options = f"size={mebibytes}m,mode=700"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("expected to be able to mount a tmpfs, which needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(file: Path) -> None:
    """Writes a file until its disk is full."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (65_536, 4_096, 1):
            while _written(descriptor, size):
                pass
    finally:
        os.close(descriptor)


def _written(descriptor: int, size: int) -> bool:
    try:
        return os.write(descriptor, bytes(size)) == size
    except OSError:
        return False
