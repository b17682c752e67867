"""Bulk ingest of a session log, file to durable: encrypted, and in plaintext with `executemany`.

    python -m benchmarks.bulk_ingest [FILE] [--rounds N]

Both read the file with the same reader and write to one private MariaDB with its durable defaults; rounds alternate.
The encrypted side is reader → gRPC → proxy → gRPC → server → MariaDB, with both servers as processes of their own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import plaintext
from privacyplease.ingest import wifi
from privacyplease.ingest.rejects import RejectFile
from privacyplease.ingest.upload import upload
from tests.services.mariadb import MariaDB
from tests.services.stack import stack


def main() -> None:
    """Measures and prints a table of medians with the ratio."""
    flags = _parser().parse_args()
    rates: dict[str, list[float]] = {"encrypted": [], "plaintext": []}
    with MariaDB(options=("--innodb-buffer-pool-size=1G",)) as database:
        for number in range(flags.rounds):
            rates["encrypted"].append(_encrypted(flags.file, database.create_database(f"encrypted_{number}")))
            rates["plaintext"].append(_plaintext(flags.file, database.create_database(f"plaintext_{number}")))
            print(f"round {number + 1}: " + ", ".join(f"{name} {runs[-1]:,.0f}/s" for name, runs in rates.items()))
    medians = {name: statistics.median(runs) for name, runs in rates.items()}
    for name, median in medians.items():
        print(f"{name:>10}  median {median:>9,.0f} sessions/s  ({min(rates[name]):,.0f} to {max(rates[name]):,.0f})")
    print(f"     ratio  {medians['encrypted'] / medians['plaintext']:.2f}")


def _encrypted(file: Path, url: str) -> float:
    with stack(url) as running, tempfile.TemporaryDirectory() as folder, RejectFile(Path(folder, "rejects")) as rejects:
        running.client.status()
        began = time.perf_counter()
        summary = upload(running.client, wifi.read(file), rejects)
        return summary.accepted / (time.perf_counter() - began)


def _plaintext(file: Path, url: str) -> float:
    began = time.perf_counter()
    return plaintext.write(wifi.read(file), url) / (time.perf_counter() - began)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Bulk ingest, encrypted and in plaintext.")
    data = Path(os.environ.get("PRIVACYPLEASE_DATA", "../shared/data"))
    parser.add_argument("file", nargs="?", type=Path, default=data / "wifi" / "client_sessions.csv.gz")
    parser.add_argument("--rounds", type=int, default=5)
    return parser


if __name__ == "__main__":
    main()
