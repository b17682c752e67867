"""What every server process has: command line options, private files, and one with its address."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path

from privacyplease.transport.log_format import LogFormat


def private_files() -> None:
    """Makes whatever the process creates from now on accessible only to its owner."""
    os.umask(0o077)


def write_address(file: Path, address: str) -> None:
    """Writes an address to a file, atomically: a process that waits for the file never reads half of it."""
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_text(f"{address}\n", encoding="utf-8")
    partial.replace(file)


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command line options that every server has, for where it announces itself, how it stops and its log."""
    parser.add_argument("--address-file", metavar="PATH", type=Path, help="file to write HOST:PORT to, once serving")
    parser.add_argument(
        "--grace-seconds",
        metavar="S",
        type=seconds,
        default=10.0,
        help="when stopped, how long running calls may take to finish",
    )
    parser.add_argument(
        "--lame-duck-seconds",
        metavar="S",
        type=seconds,
        default=0.0,
        help="when stopped, how long to report NOT_SERVING to load balancers before refusing calls",
    )
    parser.add_argument("--metrics", metavar="HOST:PORT", help="serve Prometheus metrics here; only on loopback")
    parser.add_argument(
        "--metrics-address-file", metavar="PATH", type=Path, help="file to write the metrics' HOST:PORT to"
    )
    parser.add_argument(
        "--log-format", type=LogFormat, choices=[*LogFormat], default=LogFormat.TEXT, help="format of the log's lines"
    )


def seconds(text: str) -> float:
    """The value of a command line option in seconds, for argparse.

    >>> seconds("2.5")
    2.5
    """
    if not 0 <= (number := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds, at least 0, got {text}")
    return number
